"""Every driver of this repository passes the kit, and the page on drivers says for what each was checked."""

from importlib.metadata import entry_points
from pathlib import Path

from conformance.instruments.attocube_anc350 import AttocubeAnc350Stage
from conformance.instruments.bnc_577 import Bnc577Generator
from conformance.instruments.caen_dt import CaenSupply
from conformance.instruments.cryocon_24c import CryoconController
from conformance.instruments.dg645 import Dg645Generator
from conformance.instruments.ea_scpi import EaScpiSupply
from conformance.instruments.edwards_tic import EdwardsController
from conformance.instruments.fug_probus import FugProbusSupply
from conformance.instruments.glassman import GlassmanSupply
from conformance.instruments.heinzinger_pnc import HeinzingerSupply
from conformance.instruments.iseg_shr import IsegShrSupply
from conformance.instruments.lakeshore_336 import LakeShoreController
from conformance.instruments.library_tdcs import (
    Recorded,
    RecordedHits,
    ScTdcHits,
    ScTdcWords,
    SwabianTagger,
    Tdc8HpBoard,
    TimeTagger4Board,
    Xhptdc8Board,
    Xtdc4Board,
)
from conformance.instruments.modbus_dio import ModbusModule
from conformance.instruments.newport import NewportEsp301Stage, NewportSmc100Stage
from conformance.instruments.nkt_origami import NktOrigamiLaser
from conformance.instruments.pfeiffer_tpg26x import PfeifferController
from conformance.instruments.pi_gcs2 import PiGcs2Stage
from conformance.instruments.scpi_generators import KeysightGenerator, TektronixGenerator
from conformance.instruments.smaract_ctl import SmarActCtlStage
from conformance.instruments.smaract_mcs2 import SmarActMcs2Stage
from conformance.instruments.spellman_xrv import SpellmanSupply
from conformance.instruments.srs_ctc100 import CtcController
from conformance.instruments.srs_ps300 import SrsPs300Supply
from conformance.instruments.tdc_stream import TdcStreamTdc
from conformance.instruments.tdk_genesys import GenesysSupply
from conformance.instruments.technix_sr import TechnixSupply
from evapd.device.conformance import conformance_tests, table

# A new driver: its description in `instruments/`, its line here.
INSTRUMENTS = {
    "fug-probus": FugProbusSupply,
    "iseg-shr": IsegShrSupply,
    "caen-dt": CaenSupply,
    "srs-ps300": SrsPs300Supply,
    "technix-sr": TechnixSupply,
    "spellman-xrv": SpellmanSupply,
    "heinzinger-pnc": HeinzingerSupply,
    "glassman": GlassmanSupply,
    "tdk-genesys": GenesysSupply,
    "dg645": Dg645Generator,
    "bnc-577": Bnc577Generator,
    "keysight-33500": KeysightGenerator,
    "tektronix-afg": TektronixGenerator,
    "ea-scpi": EaScpiSupply,
    "nkt-origami": NktOrigamiLaser,
    "edwards-tic": EdwardsController,
    "pfeiffer-tpg26x": PfeifferController,
    "cryocon-24c": CryoconController,
    "srs-ctc100": CtcController,
    "lakeshore-336": LakeShoreController,
    "modbus-dio": ModbusModule,
    "smaract-mcs2": SmarActMcs2Stage,
    "smaract-ctl": SmarActCtlStage,
    "pi-gcs2": PiGcs2Stage,
    "newport-esp301": NewportEsp301Stage,
    "newport-smc100": NewportSmc100Stage,
    "attocube-anc350": AttocubeAnc350Stage,
    "tdc-stream": TdcStreamTdc,
    "cronologic-xhptdc8": Xhptdc8Board,
    "replay": Recorded,
    "replay-hits": RecordedHits,
    "roentdek-tdc8hp": Tdc8HpBoard,
    "swabian": SwabianTagger,
    "cronologic-timetagger4": TimeTagger4Board,
    "cronologic-xtdc4": Xtdc4Board,
    "surface-concept": ScTdcHits,
    "surface-concept-words": ScTdcWords,
}

test_conformance = conformance_tests(*INSTRUMENTS.values())


def test_every_driver_of_this_repository_is_described():
    ours = [one for one in entry_points(group="evapd.drivers") if one.dist and one.dist.name == "evapd"]
    assert {one.name: one.load() for one in ours} == {name: kind.driver for name, kind in INSTRUMENTS.items()}


def test_the_page_on_drivers_says_for_what_each_was_checked():
    page = Path(__file__).parents[2] / "docs" / "drivers" / "README.md"
    assert table(list(INSTRUMENTS.items())) in page.read_text(encoding="utf-8")
