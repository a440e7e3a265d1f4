"""The SmarActCTL library without a controller: a stage of three axes that move in real time, and what a person can do to it."""

from ctypes import c_char_p, c_int, c_int64
from pathlib import Path
from typing import Any

from evapd_sim.sdk.building import build, opened

PM_PER_MM = 1_000_000_000


class FakeSmarActCtl:
    """One MCS2, as if just switched on: serial number MCS2-00000412, position 0, not referenced.

    Args:
        folder: where the library is built.
    """

    def __init__(self, folder: Path) -> None:
        self.path = build("smaractctl/smaractctl.c", folder)
        self.library: Any = opened(
            self.path,
            sim_reset=(None,),
            sim_serial=(None, c_char_p),
            sim_locked=(None, c_int),
            sim_cut=(None, c_int),
            sim_sensor=(None, c_int, c_int),
            sim_put=(None, c_int, c_int64, c_int),
            sim_power_fails=(None,),
            sim_position=(c_int64, c_int),
            sim_moving=(c_int,),
        )
        self.library.sim_reset()

    @property
    def moving(self) -> bool:
        """Whether any axis moves."""
        return bool(self.library.sim_moving())

    def position_mm(self, channel: int) -> float:
        """Give what the encoder of an axis says."""
        return float(self.library.sim_position(channel)) / PM_PER_MM

    def put(self, channel: int, mm: float, *, referenced: bool) -> None:
        """Move an axis by hand, and say whether its zero is known."""
        self.library.sim_put(channel, round(mm * PM_PER_MM), referenced)

    def press_emergency_stop(self, *, pressed: bool) -> None:
        """Lock all movement, or release it."""
        self.library.sim_locked(pressed)

    def unplug(self, *, unplugged: bool) -> None:
        """Pull the cable, or put it back; what was open stays unusable."""
        self.library.sim_cut(unplugged)

    def take_positioner(self, channel: int, *, away: bool) -> None:
        """Take the positioner off a channel, or put it back."""
        self.library.sim_sensor(channel, not away)

    def power_fails(self) -> None:
        """Let it lose its zero: it counts from where it stands."""
        self.library.sim_power_fails()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.library.sim_serial(serial.encode())
