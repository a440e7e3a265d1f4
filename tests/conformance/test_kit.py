"""Every driver of this repository passes the kit."""

from conformance.instruments.dg645 import Dg645Generator
from conformance.instruments.ea_scpi import EaScpiSupply
from conformance.instruments.fug_probus import FugProbusSupply
from conformance.instruments.lakeshore_336 import LakeShoreController
from conformance.instruments.modbus_dio import ModbusModule
from conformance.instruments.nkt_origami import NktOrigamiLaser
from conformance.instruments.pfeiffer_tpg26x import PfeifferController
from conformance.instruments.tdc_stream import TdcStreamTdc
from evapd.device.conformance import conformance_tests

test_conformance = conformance_tests(
    Dg645Generator,
    EaScpiSupply,
    FugProbusSupply,
    LakeShoreController,
    ModbusModule,
    NktOrigamiLaser,
    PfeifferController,
    TdcStreamTdc,
)
