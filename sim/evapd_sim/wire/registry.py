"""The simulated instruments by the names of their drivers."""

from importlib.metadata import entry_points
from typing import Any

from evapd_sim.plant import Plant
from evapd_sim.wire.attocube_anc350 import AttocubeAnc350Wire
from evapd_sim.wire.base import Wire
from evapd_sim.wire.bnc_577 import Bnc577Wire
from evapd_sim.wire.caen_dt import CaenDtWire
from evapd_sim.wire.cryocon_24c import Cryocon24cWire
from evapd_sim.wire.dg645 import Dg645Wire
from evapd_sim.wire.ea_scpi import EaScpiWire
from evapd_sim.wire.edwards_tic import EdwardsTicWire
from evapd_sim.wire.fug_probus import FugProbusWire
from evapd_sim.wire.glassman import GlassmanWire
from evapd_sim.wire.heinzinger_pnc import HeinzingerPncWire
from evapd_sim.wire.iseg_shr import IsegShrWire
from evapd_sim.wire.lakeshore_336 import LakeShore336Wire
from evapd_sim.wire.modbus_dio import ModbusDioWire
from evapd_sim.wire.newport_esp301 import NewportEsp301Wire
from evapd_sim.wire.newport_smc100 import NewportSmc100Wire
from evapd_sim.wire.nkt_origami import NktOrigamiWire
from evapd_sim.wire.pfeiffer_tpg26x import PfeifferTpg26xWire
from evapd_sim.wire.pi_gcs2 import PiGcs2Wire
from evapd_sim.wire.scpi_generator import Keysight33500Wire, TektronixAfgWire
from evapd_sim.wire.smaract_mcs2 import SmarActMcs2Wire
from evapd_sim.wire.spellman_xrv import SpellmanXrvWire
from evapd_sim.wire.srs_ctc100 import SrsCtc100Wire
from evapd_sim.wire.srs_ps300 import SrsPs300Wire
from evapd_sim.wire.tdc_stream import TdcStreamWire
from evapd_sim.wire.tdk_genesys import TdkGenesysWire
from evapd_sim.wire.technix_sr import TechnixSrWire

WIRES: dict[str, type[Wire]] = {
    "fug-probus": FugProbusWire,
    "iseg-shr": IsegShrWire,
    "caen-dt": CaenDtWire,
    "srs-ps300": SrsPs300Wire,
    "technix-sr": TechnixSrWire,
    "spellman-xrv": SpellmanXrvWire,
    "heinzinger-pnc": HeinzingerPncWire,
    "glassman": GlassmanWire,
    "tdk-genesys": TdkGenesysWire,
    "dg645": Dg645Wire,
    "bnc-577": Bnc577Wire,
    "keysight-33500": Keysight33500Wire,
    "tektronix-afg": TektronixAfgWire,
    "ea-scpi": EaScpiWire,
    "edwards-tic": EdwardsTicWire,
    "pfeiffer-tpg26x": PfeifferTpg26xWire,
    "cryocon-24c": Cryocon24cWire,
    "srs-ctc100": SrsCtc100Wire,
    "lakeshore-336": LakeShore336Wire,
    "modbus-dio": ModbusDioWire,
    "nkt-origami": NktOrigamiWire,
    "smaract-mcs2": SmarActMcs2Wire,
    "pi-gcs2": PiGcs2Wire,
    "newport-esp301": NewportEsp301Wire,
    "newport-smc100": NewportSmc100Wire,
    "attocube-anc350": AttocubeAnc350Wire,
    "tdc-stream": TdcStreamWire,
}


OUTSIDE = "evapd.wires"  # entry-point group by which other packages offer theirs


def all_wires() -> dict[str, type[Wire]]:
    """Give ours, and those of other installed packages; ours win where a name is taken.

    Raises:
        ValueError: when another package's instrument cannot be imported, or is none.
    """
    outside: dict[str, type[Wire]] = {}
    for entry in entry_points(group=OUTSIDE):
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            raise ValueError(f"the simulated instrument '{entry.name}' ({entry.value}): {error}") from error
        if not (isinstance(found, type) and issubclass(found, Wire)):
            text = f"'{entry.name}' ({entry.value}) is no simulated instrument: derive it from Wire"
            raise ValueError(text)  # noqa: TRY004 - the package's fault, not the caller's
        outside[entry.name] = found
    return outside | WIRES


def make_wire(name: str, plant: Plant, **settings: Any) -> Wire:
    """Make the instrument `name` with its own settings.

    Raises:
        ValueError: when there is no such instrument, or one of its settings is unknown.
    """
    wires = WIRES if name in WIRES else all_wires()
    if name not in wires:
        raise ValueError(f"no simulated instrument '{name}', there are {', '.join(wires)}")
    return wires[name](plant, **settings)
