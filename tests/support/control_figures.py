"""From a run to its figures."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.control_loop import Run
from support.control_scenarios import LATE_S, Scenario
from support.control_specimen import BREAKS_AFTER_S

_CYCLE_RMS, _CYCLE_ALIKE = 0.06, 0.5


def figures(run: Run, scenario: Scenario) -> dict[str, float]:
    """Numbers of one run; see the page of the benchmark for what each means."""
    check(run, scenario)
    # In steady running the standing voltage adds its leakage: the target is a target of pulsed ions.
    t_s, ratio, v_v = run.rows[:, 0], run.rows[:, 1] / (1.0 + scenario.specimen.leakage), run.rows[:, 2]
    bins = ratio[: ratio.size // 2 * 2].reshape(-1, 2).mean(axis=1)
    bins_s = t_s[1::2][: bins.size]
    steady = (bins_s > scenario.steady_s[0]) & (bins_s <= scenario.steady_s[1])
    log = np.log(np.maximum(bins[steady], 1e-9))
    still = (t_s > scenario.steady_s[0]) & (t_s <= scenario.steady_s[1])
    later = bins_s > scenario.since_s
    silent = scenario.circumstances.silent
    return {
        "rms": float(log.std()),
        "mean": float(np.exp(log.mean())),
        "peak": float(bins[later].max()),
        "start_peak": float(bins[bins_s < LATE_S].max()),
        "late_peak": float(bins[bins_s >= LATE_S].max(initial=0.0)),
        "excess_ions": float(run.state["excess_ions"]),
        "lost": float(run.state["longest_above_s"] > BREAKS_AFTER_S),
        "reach_s": _reach_s(bins, bins_s, 0.0),
        "recover_s": _recover_s(bins, bins_s, scenario.since_s),
        "ripple_ppm": _ripple_ppm(t_s[still], v_v[still]),
        "cycle": float(is_cycle(log)),
        "trips": float(run.trips),
        "held": float(run.held),
        "rise_v": _rise_v(run.rows, silent if silent[0] < math.inf else _dead(scenario)),
        "sensitivity": float(run.rows[-1, 5]),
    }


def check(run: Run, scenario: Scenario) -> None:
    """Counts agree: ticks with the sum of the specimen, hits with the sum of the detector."""
    rows, tick_s = run.rows, scenario.settings().tick_s
    if len(rows) != round(scenario.seconds / tick_s) or not np.isfinite(rows[:, :5]).all():
        raise AssertionError(f"{scenario.name}: the run is not whole")
    ions = rows[:, 1].sum() * scenario.specimen.target_hz * tick_s
    if abs(ions - float(run.state["ions"])) > 1e-6 * ions + 1e-6:
        raise AssertionError(f"{scenario.name}: {ions} ions in ticks, {run.state['ions']} in all")
    if rows[:, 4].sum() != run.state["hits_all"]:
        raise AssertionError(f"{scenario.name}: hits in ticks and in all differ")


def is_cycle(log: NDArray[np.float64]) -> bool:
    """Whether the log rate swings widely and keeps its rhythm: three periods later it still agrees with itself.

    Noise that a law has passed on has a rhythm too, and forgets it within a period or two.
    """
    if log.size < 64 or log.std() < _CYCLE_RMS:
        return False
    times = np.arange(log.size)
    flat = log - np.polyval(np.polyfit(times, log, 1), times)
    lags = log.size // 2
    alike = np.array(
        [np.corrcoef(flat[: flat.size - lag], flat[lag:])[0, 1] if lag else 1.0 for lag in range(lags)]
    )
    # The period is where it agrees again for the first time after it has disagreed.
    crossings = np.flatnonzero(np.diff(np.signbit(alike))) + 1
    if crossings.size < 2:
        return False
    until = crossings[2] if crossings.size > 2 else lags
    period = int(crossings[1] + alike[crossings[1] : until].argmax())
    third = alike[round(2.7 * period) : round(3.3 * period) + 1]
    return bool(alike[period] > _CYCLE_ALIKE and third.size and third.max() > _CYCLE_ALIKE)


def _reach_s(bins: NDArray[np.float64], bins_s: NDArray[np.float64], since_s: float) -> float:
    """First time at which the mean of one second is within a tenth below the target."""
    mean = np.convolve(bins, np.ones(10) / 10, mode="full")[: bins.size]
    found = np.flatnonzero((mean >= 0.9) & (bins_s > since_s))
    return float(bins_s[found[0]] - since_s) if found.size else math.inf


def _recover_s(bins: NDArray[np.float64], bins_s: NDArray[np.float64], since_s: float) -> float:
    """Last time, from `since_s`, at which the mean of one second was off by more than 0.25 in log."""
    mean = np.convolve(bins, np.ones(10) / 10, mode="full")[: bins.size]
    off = np.flatnonzero((np.abs(np.log(np.maximum(mean, 1e-9))) > 0.25) & (bins_s > since_s))
    return float(bins_s[off[-1]] - since_s) if off.size else 0.0


def _ripple_ppm(t_s: NDArray[np.float64], v_v: NDArray[np.float64]) -> float:
    if t_s.size < 3:
        return math.nan
    # The slow rise that follows the blunting apex is no ripple.
    flat = v_v - np.polyval(np.polyfit(t_s - t_s[0], v_v, 2), t_s - t_s[0])
    return float(1e6 * flat.std() / v_v.mean())


def _dead(scenario: Scenario) -> tuple[float, float]:
    return scenario.specimen.dead_from_s, scenario.specimen.dead_to_s


def _rise_v(rows: NDArray[np.float64], blind: tuple[float, float]) -> float:
    """Highest command while blind above the one at its onset."""
    inside = (rows[:, 0] > blind[0]) & (rows[:, 0] <= blind[1])
    if not inside.any():
        return math.nan
    # What was under way when the first window went missing is known only one delay later.
    return float(rows[inside, 3].max() - rows[inside, 3][0])


def spread(values: list[dict[str, float]]) -> dict[str, Any]:
    """Gather the figures of several seeds."""
    return {key: np.array([value[key] for value in values]) for key in values[0]}
