"""Rules on the detector's supplies: current, voltage, vacuum, hits without pulses. They bring the detector down first, then the specimen."""

import math
from collections import deque

from evapd.guard.detector_state import DetectorState
from evapd.guard.detector_view import FLOOR_V, DetectorView, SupplyView
from evapd.guard.energy import ENERGISED, EnergyState
from evapd.guard.rules.base import Effect, Finding, Measured, View, worst
from evapd.guard.rules.pressure import pressures
from evapd.link import LinkFlag, LinkRecord
from evapd.units import NS_PER_S

_UP = frozenset({DetectorState.RAMPING, DetectorState.ON, DetectorState.RAMPING_DOWN})
_LOOKED_AT = _UP | {DetectorState.UNKNOWN}  # what was not read yet may be up
_READINGS = 2  # in a row: a single one is often a charging current or a wrong digit
_BAND_GRACE_S = 1.0
_DARK_SPAN_S, _DARK_LEAST_S = 2.0, 1.0
_DARK_COUNTS = 20  # fewer hits than these trigger nothing
_LOSSY = LinkFlag.SATURATED | LinkFlag.LOSS
ALWAYS = frozenset(EnergyState)


class DetectorCurrent(Measured):
    """A detector supply draws too much: an arc, a plate that runs away, a bad vacuum that no gauge saw."""

    name = "detector-current"
    trigger = "current of a detector supply above its current_max_a in two readings"
    effect = Effect.SAFE
    action = "pulses off, detector supplies down first, then the specimen, latched"
    release = "acknowledge"
    advice = "look at pressure and plates; condition the detector before the next run"
    keys = ("detector.supplies",)
    latch = True
    watches = ALWAYS

    def __init__(self) -> None:
        self._over: dict[str, tuple[float, int]] = {}  # time of the newest reading, how many in a row

    def load(self, view: View) -> float | None:
        """Largest current over its limit; below 1 until two readings agree."""
        loads = []
        for one in _watched(view):
            load = _current_load(one)
            if load is None:
                continue
            t_s, over = self._over.get(one.name, (-math.inf, 0))
            if one.t_s > t_s:
                over = over + 1 if load >= 1.0 else 0
                self._over[one.name] = one.t_s, over
            loads.append(load if over >= _READINGS else min(load, 0.99))
        return max(loads, default=None)

    def found(self, view: View) -> Finding:
        """Name the supplies."""
        texts = [
            f"{one.name} draws {1e6 * abs(one.i_a or 0.0):.1f} uA, allowed are {1e6 * (one.settings.current_max_a or 0.0):.1f} uA"
            for one in _watched(view)
            if (_current_load(one) or 0.0) >= 1.0
        ]
        return Finding("; ".join(texts) or "a detector supply drew too much", cause="detector")

    def forget(self) -> None:
        """Begin anew."""
        self._over.clear()


class DetectorVoltage(Measured):
    """A detector supply does not stand where it shall: with a falling gain the law would raise the specimen's voltage."""

    name = "detector-voltage"
    trigger = (
        "for 1 s a detector supply off by more than tolerance, tripped, off or UNKNOWN, or signal and reference wire further "
        "apart than wire_difference_max_v; a step not followed for settle_s; after a start one still UNKNOWN at device_timeout_s "
        "while another or the specimen is up"
    )
    effect = Effect.SAFE
    action = "pulses off, detector supplies down first, then the specimen, latched"
    release = "acknowledge"
    advice = "look at the detector supplies, their cables and their current limits"
    keys = ("detector.tolerance", "detector.settle_s", "detector.wire_difference_max_v", "device_timeout_s")
    latch = True
    watches = ALWAYS

    def load(self, view: View) -> float | None:
        """Largest deviation over what is allowed; below 1 for the first second."""
        detector, config = _detector(view), view.settings.rig.detector
        if detector is None or config is None or detector.state not in _LOOKED_AT:
            return None
        if detector.state is DetectorState.UNKNOWN:
            # Nobody can say where all of them stand: not for long beside one that is up, or a specimen that is.
            matters = view.state in ENERGISED or _any_hot(view)
            return view.up_s / view.guard.device_timeout_s if matters else None
        if detector.stuck:
            return math.inf
        if detector.state is not DetectorState.ON:
            return 0.0  # while they move, each step is checked before the next
        load = worst(_apart(view) or 0.0, *(_off_load(one, config.tolerance) for one in detector.supplies))
        return load if load < 1.0 or detector.off_band_s >= _BAND_GRACE_S else 0.99

    def found(self, view: View) -> Finding:
        """Say which, and how far."""
        detector, config = _detector(view), view.settings.rig.detector
        if detector is None or config is None:
            return Finding("the detector is not known", cause="detector")
        if detector.stuck:
            return Finding(f"detector: {detector.stuck}", cause="detector")
        if detector.state is DetectorState.UNKNOWN:
            unread = [f"{one.name} is UNKNOWN: {one.why}" for one in detector.supplies if one.v_v is None]
            return Finding(
                "since the start nobody knows where the detector stands: " + "; ".join(unread),
                cause="detector",
            )
        texts = [_off_words(one) for one in detector.supplies if _off_load(one, config.tolerance) >= 1.0]
        if (_apart(view) or 0.0) >= 1.0 and config.wires:
            texts.append(
                f"{config.wires[0]} and {config.wires[1]} are more than {config.wire_difference_max_v:.0f} V apart"
            )
        return Finding("; ".join(texts), cause="detector")


class DetectorVacuum(Measured):
    """Voltage on plates and wires in a vacuum that is bad or not known."""

    name = "detector-vacuum"
    trigger = "detector on or ramping, and a gauge above detector.pressure_max_pa (else guard's) or without a valid value"
    effect = Effect.SAFE
    action = "pulses off, detector supplies down first, then the specimen, latched"
    release = "acknowledge"
    advice = "look at pumps and valves; wait before the plates are ramped again"
    keys = ("detector.pressure_max_pa",)
    latch = True
    watches = ALWAYS

    def load(self, view: View) -> float | None:
        """Highest pressure over the limit."""
        detector = _detector(view)
        if detector is None or detector.state not in _LOOKED_AT:
            return None
        if detector.state is DetectorState.UNKNOWN and not _any_hot(view):
            return None
        return permit_load(view, starting=_starting(view))

    def found(self, view: View) -> Finding:
        """Say which gauge."""
        return Finding(f"detector: {permit_complaint(view, starting=_starting(view))}", cause="detector")


class DarkRate(Measured):
    """Hits while no pulses come: light, an ion gauge, a plate that glows, or a specimen that evaporates by itself."""

    name = "dark-rate"
    trigger = (
        "more hits per second than dark_rate_max_hz, and 20 at least, while no pulses come for 1 s or more"
    )
    effect = Effect.RAMP_DOWN
    action = "detector supplies down first, then the specimen"
    release = "acknowledge"
    advice = "look for light, ion gauges and filaments; let the plates rest"
    keys = ("detector.dark_rate_max_hz",)
    latch = True
    watches = ALWAYS

    def __init__(self) -> None:
        self._before: LinkRecord | None = None
        self._dark: deque[tuple[float, int]] = deque()  # duration and hits between two records

    def load(self, view: View) -> float | None:
        """Hits per second over the limit; None while pulses come or nothing is counted."""
        config = view.settings.rig.detector
        self._take(view.rates.newest)
        detector = _detector(view)
        if config is None or config.dark_rate_max_hz is None or detector is None:
            return None
        dt_s, hits = self._sum()
        if detector.state not in _LOOKED_AT or dt_s < _DARK_LEAST_S:
            return None
        load = hits / dt_s / config.dark_rate_max_hz
        return load if hits >= _DARK_COUNTS else min(load, 0.99)

    def found(self, view: View) -> Finding:  # noqa: ARG002 - the base's signature
        """Give the rate."""
        dt_s, hits = self._sum()
        return Finding(f"{hits} hits in {dt_s:.1f} s without pulses", cause="detector")

    def forget(self) -> None:
        """Begin anew."""
        self._before = None
        self._dark.clear()

    def _take(self, newest: LinkRecord | None) -> None:
        before = self._before
        if newest is None or newest is before:
            return
        self._before = newest
        armed = before is not None and LinkFlag.ARMED in before.flags & newest.flags
        pulses = before is None or newest.live_pulses != before.live_pulses
        if before is None or not armed or pulses or newest.hits_total < before.hits_total:
            self._dark.clear()
        elif not newest.flags & _LOSSY:
            dt_s = (newest.t_mono_ns - before.t_mono_ns) / NS_PER_S
            self._dark.append((dt_s, newest.hits_total - before.hits_total))
            while self._sum()[0] - self._dark[0][0] > _DARK_SPAN_S:
                self._dark.popleft()

    def _sum(self) -> tuple[float, int]:
        return sum(dt_s for dt_s, _ in self._dark), sum(hits for _, hits in self._dark)


def permit_load(view: View, *, starting: bool = False) -> float | None:
    """Highest pressure over what the detector stands; infinite when a pressure is not known, None without a limit."""
    limit_pa = _limit_pa(view)
    if limit_pa is None:
        return None
    told = [
        math.inf if one.pressure_pa is None else one.pressure_pa / limit_pa
        for one in pressures(view, starting=starting)
    ]
    return worst(*told) if told else 0.0 if starting else math.inf


def permit_complaint(view: View, *, starting: bool = False) -> str | None:
    """What speaks against detector voltage in this vacuum, in words."""
    limit_pa, load = _limit_pa(view), permit_load(view, starting=starting)
    if limit_pa is None or load is None:
        return "no pressure limit is configured: set detector.pressure_max_pa"
    if load < 1.0:
        return None
    worst = max(
        pressures(view, starting=starting),
        key=lambda one: math.inf if one.pressure_pa is None else one.pressure_pa,
        default=None,
    )
    if worst is None:
        return "no gauge reads the pressure; an unknown pressure is a bad one"
    if worst.pressure_pa is None:
        return f"gauge '{worst.name}': {worst.status}; an unknown pressure is a bad one"
    return f"gauge '{worst.name}' reads {worst.pressure_pa:.2g} Pa, the detector's limit is {limit_pa:.2g} Pa"


def _limit_pa(view: View) -> float | None:
    detector = view.settings.rig.detector
    own = None if detector is None else detector.pressure_max_pa
    return own if own is not None else view.guard.pressure_max_pa


def _detector(view: View) -> DetectorView | None:
    return None if view.wiring is None or not view.wiring.detector.configured else view.wiring.detector_view


def _watched(view: View) -> tuple[SupplyView, ...]:
    detector = _detector(view)
    return () if detector is None or detector.state not in _LOOKED_AT else detector.supplies


def _any_hot(view: View) -> bool:
    """Whether one of the supplies is known to carry voltage."""
    config = view.settings.rig.detector
    return config is not None and any(
        one.v_v is not None and abs(one.v_v) >= config.off_v for one in _watched(view)
    )


def _starting(view: View) -> bool:
    """Whether the guard has only just begun to read; a gauge that is still connecting is not known to be bad yet."""
    return view.up_s < view.guard.device_timeout_s


def _current_load(one: SupplyView) -> float | None:
    if one.i_a is None or one.settings.current_max_a is None:
        return None
    return worst(abs(one.i_a) / one.settings.current_max_a)


def _off_load(one: SupplyView, tolerance: float) -> float:
    if one.v_v is None or one.down:
        return math.inf
    return abs(one.v_v - one.settings.v_v) / max(tolerance * abs(one.settings.v_v), FLOOR_V)


def _off_words(one: SupplyView) -> str:
    if one.v_v is None:
        return f"{one.name} is UNKNOWN: {one.why}"
    off = ", its output is off or tripped" if one.down else ""
    return f"{one.name} reads {one.v_v:.0f} V, it shall stand at {one.settings.v_v:.0f} V{off}"


def _apart(view: View) -> float | None:
    """Distance of signal and reference wire over what is allowed."""
    config, detector = view.settings.rig.detector, _detector(view)
    if config is None or config.wires is None or detector is None:
        return None
    v_v = {one.name: one.v_v for one in detector.supplies}
    first, second = (v_v.get(name) for name in config.wires)
    return None if first is None or second is None else abs(first - second) / config.wire_difference_max_v


DETECTOR_RULES = (DetectorCurrent, DetectorVoltage, DetectorVacuum, DarkRate)
