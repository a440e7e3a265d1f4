"""What `evapd run` says while a run is under way: one line, rewritten on a terminal, else every few seconds."""

import logging
import os
import time
from collections.abc import Callable
from typing import Any, TextIO

_log = logging.getLogger(__name__)
_EVERY_S = 5.0
_MEET_S = 2.0  # for the guard's first answer to arrive before a line is written without it
_START_S = 10.0  # until then a guard that was never heard is starting, after that it is silent


def line(status: dict[str, Any], *, starting: bool = False) -> str:
    """Describe the present moment in one line; `starting`: the guard has not been heard yet, and need not have been."""
    run, guard = status.get("run") or {}, status.get("guard") or {}
    elapsed_s = run.get("elapsed_s") or 0.0
    target, rate = guard.get("target_rate"), status.get("rate_per_pulse")
    share = _rate(rate, None if guard.get("law") == "monitor" else target)
    v_dc_v = guard.get("v_dc_v")
    voltage = "V_dc unknown" if v_dc_v is None else f"V_dc {round(v_dc_v):6d} V"
    if status["run_state"] == "finalising":
        return f"finalising {100 * (status.get('finalising') or 0.0):3.0f} %{_pace(status.get('finalising_pace') or {})}"
    state = guard.get("energy_state", "starting" if starting else "guard silent")
    return f"{elapsed_s:6.1f} s  {status['run_state']:9s} {state:12s} {voltage}  {share}  {status['hits']:>9,d} hits"


def _pace(pace: dict[str, Any]) -> str:
    hits_per_s, remaining_s = pace.get("hits_per_s"), pace.get("remaining_s")
    speed = f"  {hits_per_s / 1e6:.2f} Mhit/s" if hits_per_s else ""
    return speed + (f"  {remaining_s:.0f} s left" if remaining_s is not None else "")


def _rate(rate: float | None, target: float | None) -> str:
    if rate is None:
        return "rate unknown"
    # A law that only watches has no target to be compared with.
    return f"{100 * max(rate, 0.0) / target:4.0f} % of target" if target else f"{rate:.3g} hits per pulse"


class Progress:
    """Writes lines to a person; keeps a terminal's last line up to date.

    Nobody may be there any more (`| head`, a closed terminal): then it is silent, for those who speak through it have a
    voltage to bring down.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._begun_s: float | None = None  # the first moment that was to be shown
        self._met = False  # whether the guard was ever heard
        self._live = out.isatty()
        self._open = False
        self._due_s = float("-inf")
        self._heard = True

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._write(f"{self._end_line()}{text}\n")

    def update(self, status: dict[str, Any]) -> None:
        """Show the present moment; the first one waits shortly for the guard's first answer."""
        now_s = self._clock()
        self._begun_s = now_s if self._begun_s is None else self._begun_s
        self._met = self._met or bool(status.get("guard"))
        waited_s = now_s - self._begun_s
        if not self._met and waited_s < _MEET_S:
            return
        text = line(status, starting=not self._met and waited_s < _START_S)
        if self._live:
            self._open = True
            self._write(f"\r\x1b[2K{text}")
        elif now_s >= self._due_s:
            self._due_s = now_s + _EVERY_S
            self.say(text)

    def _write(self, text: str) -> None:
        if not self._heard:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            self._heard = False
            _log.warning("nobody reads the output any more: %s", error)
            # What is still buffered would fail again at the end of the program, and change its exit code.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)

    def _end_line(self) -> str:
        ended, self._open = self._open, False
        return "\n" if ended else ""
