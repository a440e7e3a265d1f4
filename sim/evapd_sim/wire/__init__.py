"""One byte-level instrument per driver, written from the protocol on paper."""

from evapd_sim.wire.registry import WIRES

__all__ = ["WIRES"]
