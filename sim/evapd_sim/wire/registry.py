"""The simulated instruments by the names of their drivers."""

from typing import Any

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire
from evapd_sim.wire.dg645 import Dg645Wire
from evapd_sim.wire.ea_scpi import EaScpiWire
from evapd_sim.wire.fug_probus import FugProbusWire
from evapd_sim.wire.lakeshore_336 import LakeShore336Wire
from evapd_sim.wire.modbus_dio import ModbusDioWire
from evapd_sim.wire.nkt_origami import NktOrigamiWire
from evapd_sim.wire.pfeiffer_tpg26x import PfeifferTpg26xWire
from evapd_sim.wire.tdc_stream import TdcStreamWire

WIRES: dict[str, type[Wire]] = {
    "fug-probus": FugProbusWire,
    "dg645": Dg645Wire,
    "ea-scpi": EaScpiWire,
    "pfeiffer-tpg26x": PfeifferTpg26xWire,
    "lakeshore-336": LakeShore336Wire,
    "modbus-dio": ModbusDioWire,
    "nkt-origami": NktOrigamiWire,
    "tdc-stream": TdcStreamWire,
}


def make_wire(name: str, plant: Plant, **settings: Any) -> Wire:
    """Make the instrument `name` with its own settings.

    Raises:
        ValueError: when there is no such instrument, or one of its settings is unknown.
    """
    if name not in WIRES:
        raise ValueError(f"no simulated instrument '{name}', there are {', '.join(WIRES)}")
    return WIRES[name](plant, **settings)
