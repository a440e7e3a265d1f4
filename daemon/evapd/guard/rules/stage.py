"""Nobody moves the stage under voltage: the guard refuses such moves itself, a joystick or a controller's program does not ask."""

from evapd.device.readings import StageReading
from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.rules.base import Effect, Finding, Rule, View

_READINGS = 2  # one alone may have been made while a move of before ended


class StageMoves(Rule):
    """An axis moves though the specimen carries voltage and nobody aligns."""

    name = "stage-moves"
    trigger = "an axis of a stage says in two readings that it moves, in any energised state but aligning"
    effect = Effect.HOLD
    release = "a person resumes"
    advice = "stop it (`evapd stage stop`, or at its controller); see whether tip and electrode are where they were"
    watches = ENERGISED - {EnergyState.ALIGNING}

    def __init__(self) -> None:
        self._seen: dict[
            tuple[str, str], tuple[float, int]
        ] = {}  # by device and axis: time of the newest reading, readings in a row

    def check(self, view: View) -> Finding | None:
        """Look at every axis that is told."""
        moving = [axis for (_, axis), count in self._counts(view).items() if count >= _READINGS]
        return Finding(f"{', '.join(moving)} of the stage moves under voltage") if moving else None

    def margin(self, view: View) -> float | None:
        """1 at rest, a half with one reading, 0 when it moves; None without a stage."""
        counts = self._counts(view)
        return max(0.0, 1.0 - max(counts.values()) / _READINGS) if counts else None

    def _counts(self, view: View) -> dict[tuple[str, str], int]:
        """Give by device and axis how many readings in a row said that it moves; the same reading counts once."""
        seen: dict[tuple[str, str], tuple[float, int]] = {}
        for device in view.inputs.devices.values():
            if device.role != "stage" or not isinstance(device.reading, StageReading):
                continue
            t_s = device.reading.t_mono_s
            for name, axis in device.reading.axes.items():
                last_s, count = self._seen.get((device.name, name), (-1.0, 0))
                if t_s != last_s:
                    count = count + 1 if axis.moving else 0
                seen[device.name, name] = (t_s, count)
        self._seen = seen
        return {name: count for name, (_, count) in seen.items()}

    def forget(self) -> None:
        """Begin anew."""
        self._seen = {}


STAGE_RULES: tuple[type[Rule], ...] = (StageMoves,)
