"""Truth for tests of the matching: ions, the signals of a quad anode they leave, and how many can be found at all.

Written from the physics of a delay line, without the matching's own code: an ion at time of flight t and
coordinate u along a layer's axis gives t1 = t + (T + d)/2 and t2 = t + (T - d)/2 with d = 2000 u/f + offset.
Signals jitter, go missing, and die when the same channel fired less than the dead time before.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HitBlock, TdcBlock

CHANNELS = 5  # MCP, x1, x2, y1, y2
RECOVERABLE = 4  # three unknowns and one redundancy


@dataclass(frozen=True)
class SignalModel:
    """A quad anode with its electronics, and a stream of events; the defaults are the 30 % multi-hit stream."""

    detection: float = 0.05  # events per pulse
    multi: float = 0.30  # chance that an event, or a hit of a cascade, has one more hit
    most: int = 8  # hits of one event
    time_sum_ps: tuple[float, float] = (110_000.0, 112_000.0)
    mm_per_ns: tuple[float, float] = (0.8, 0.8)
    offset_ps: tuple[float, float] = (0.0, 0.0)
    angle_deg: tuple[float, float] = (0.0, 90.0)
    centre_mm: tuple[float, float] = (0.0, 0.0)
    radius_mm: float = 40.0
    jitter_ps: float = 100.0
    missing: float = 0.05  # of every signal
    dead_time_ps: float = 10_000.0
    noise_hz: float = 200.0  # per channel
    dark_hz: float = 20.0
    pulse_rate_hz: float = 200_000.0
    bin_ps: Fraction = Fraction(5000, 384)


@dataclass(frozen=True)
class Truth:
    """True hits in order of pulse and time, the stream they left, and which can be recovered from it."""

    block: TdcBlock
    pulse: NDArray[np.int64]
    tof_ps: NDArray[np.float64]
    x_mm: NDArray[np.float64]  # from the detector's centre
    y_mm: NDArray[np.float64]
    alive: NDArray[np.int64]  # of its five signals, how many are in the stream

    @property
    def ceiling(self) -> float:
        """Share of the true hits of which enough signals survived."""
        return float(np.mean(self.alive >= RECOVERABLE)) if len(self.alive) else 0.0


@dataclass(frozen=True)
class Score:
    """How a matching did against the truth; every field is a share from 0 to 1."""

    efficiency: float
    of_recoverable: float
    ghosts: float
    ghosts_by_quality: dict[int, float]
    share_by_quality: dict[int, float]


def _disc(rng: np.random.Generator, n: int, radius_mm: float) -> NDArray[np.float64]:
    r_mm = radius_mm * np.sqrt(rng.random(n))
    phi = rng.random(n) * 2 * np.pi
    return np.stack([r_mm * np.cos(phi), r_mm * np.sin(phi)])


def _ions(
    model: SignalModel, pulses: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Pulse, time of flight in ps and position in mm of every ion that reaches the detector."""
    peaks_ps = np.linspace(250_000.0, 1_200_000.0, 10)
    events = np.flatnonzero(rng.random(pulses) < model.detection)
    size = np.minimum(rng.geometric(1.0 - model.multi, len(events)), model.most)
    event = np.repeat(np.arange(len(events)), size)
    peak = rng.integers(0, 10, len(events))[event]
    stray = rng.random(len(event)) < 0.5
    first = np.r_[True, event[1:] != event[:-1]] if len(event) else np.zeros(0, bool)
    peak = np.where(first | ~stray, peak, rng.integers(0, 10, len(event)))
    tof = peaks_ps[peak] + rng.normal(0, 300, len(event)) + rng.exponential(1500, len(event))
    place = _disc(rng, len(event), model.radius_mm)
    parent = np.maximum.accumulate(np.where(first, np.arange(len(event)), 0))
    near = ~first & (rng.random(len(event)) < 0.6)
    place = np.where(near, place[:, parent] + rng.normal(0, 8, (2, len(event))), place)
    dark = rng.random(pulses) < model.dark_hz / model.pulse_rate_hz
    period_ps = 1e12 / model.pulse_rate_hz
    pulse = np.r_[events[event], np.flatnonzero(dark)]
    tof = np.r_[tof, rng.random(dark.sum()) * (period_ps - 500_000)]
    place = np.concatenate([place, _disc(rng, int(dark.sum()), model.radius_mm)], axis=1)
    inside = np.hypot(*place) <= model.radius_mm
    order = np.lexsort((tof[inside], pulse[inside]))
    return pulse[inside][order], tof[inside][order], place[:, inside][:, order]


def signals_of(
    model: SignalModel, tof_ps: NDArray[np.float64], place_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ideal times in ps, shape (5, n), of ions at positions in mm from the detector's centre, shape (2, n)."""
    place_mm = place_mm + np.array(model.centre_mm)[:, None]
    times = [tof_ps]
    for layer in range(2):
        angle = np.deg2rad(model.angle_deg[layer])
        u_mm = place_mm[0] * np.cos(angle) + place_mm[1] * np.sin(angle)
        d_ps = 2000.0 * u_mm / model.mm_per_ns[layer] + model.offset_ps[layer]
        times += [
            tof_ps + (model.time_sum_ps[layer] + d_ps) / 2,
            tof_ps + (model.time_sum_ps[layer] - d_ps) / 2,
        ]
    return np.stack(times)


def _survivors(
    pulse: NDArray[np.int64], channel: NDArray[np.int64], time: NDArray[np.float64], dead_time_ps: float
) -> NDArray[np.bool_]:
    """Which words a channel with a dead time delivers; it is blind only after a word that it delivered."""
    order = np.lexsort((time, channel, pulse))
    key = (pulse * CHANNELS + channel)[order]
    new = np.r_[True, key[1:] != key[:-1]] if len(key) else np.zeros(0, bool)
    group = np.cumsum(new) - 1
    place = np.arange(len(key)) - np.flatnonzero(new)[group]
    last = np.full(int(new.sum()), -np.inf)
    kept = np.zeros(len(key), bool)
    for k in range(int(place.max(initial=-1)) + 1):
        at = np.flatnonzero(place == k)
        alive = time[order][at] - last[group[at]] >= dead_time_ps
        kept[at] = alive
        last[group[at[alive]]] = time[order][at[alive]]
    survivors = np.zeros(len(key), bool)
    survivors[order] = kept
    return survivors


def simulate(model: SignalModel, pulses: int, seed: int) -> Truth:
    """A stream over the pulses 0 to `pulses` - 1, and its truth."""
    rng = np.random.default_rng(seed)
    ion_pulse, tof_ps, place_mm = _ions(model, pulses, rng)
    n = len(ion_pulse)
    time = signals_of(model, tof_ps, place_mm) + rng.normal(0, model.jitter_ps, (CHANNELS, n))
    noise = rng.random((CHANNELS, pulses)) < model.noise_hz / model.pulse_rate_hz
    noise_channel, noise_pulse = np.nonzero(noise)
    all_pulse = np.r_[np.tile(ion_pulse, CHANNELS), noise_pulse]
    all_channel = np.r_[np.repeat(np.arange(CHANNELS), n), noise_channel]
    all_time = np.r_[time.ravel(), rng.random(len(noise_pulse)) * 1e12 / model.pulse_rate_hz]
    all_owner = np.r_[np.tile(np.arange(n), CHANNELS), np.full(len(noise_pulse), -1)]
    seen = rng.random(len(all_pulse)) >= model.missing
    all_pulse, all_channel, all_time, all_owner = (
        column[seen] for column in (all_pulse, all_channel, all_time, all_owner)
    )
    seen = _survivors(all_pulse, all_channel, all_time, model.dead_time_ps)
    owner = all_owner[seen & (all_owner >= 0)]
    return Truth(
        block=words_block(all_pulse[seen], all_channel[seen], all_time[seen], pulses, model.bin_ps),
        pulse=ion_pulse,
        tof_ps=tof_ps,
        x_mm=place_mm[0],
        y_mm=place_mm[1],
        alive=np.bincount(owner, minlength=n),
    )


def words_block(
    pulse: NDArray[np.int64],
    channel: NDArray[np.int64],
    time_ps: NDArray[np.float64],
    pulses: int,
    bin_ps: Fraction,
) -> TdcBlock:
    """Sort words, round their times to bins, and make a block over the pulses 0 to `pulses` - 1."""
    bins = np.rint(np.asarray(time_ps) / float(bin_ps)).astype("<i4")
    order = np.lexsort((channel, bins, pulse))
    return TdcBlock(
        first_pulse=0,
        last_pulse=pulses - 1,
        bin_ps=bin_ps,
        pulse=np.asarray(pulse)[order].astype("<u8"),
        channel=np.asarray(channel)[order].astype("u1"),
        time=bins[order],
    )


def score(truth: Truth, hits: HitBlock, tof_ps: float = 1000.0, distance_mm: float = 0.3) -> Score:
    """Compare hits with the truth: a hit is right when a true one lies within `tof_ps` and `distance_mm`."""
    pulse = hits.pulse.astype(np.int64) + hits.first_pulse
    begin, end = np.searchsorted(truth.pulse, pulse, "left"), np.searchsorted(truth.pulse, pulse, "right")
    right = np.zeros(hits.n, bool)
    found = np.zeros(len(truth.pulse), bool)
    for k in range(int((end - begin).max(initial=0))):
        here = np.flatnonzero(begin + k < end)
        true = begin[here] + k
        apart_mm = np.hypot(
            hits.x_um[here] / 1000 - truth.x_mm[true], hits.y_um[here] / 1000 - truth.y_mm[true]
        )
        close = (np.abs(hits.tof_ps[here] - truth.tof_ps[true]) <= tof_ps) & (apart_mm <= distance_mm)
        right[here] |= close
        found[true[close]] = True
    codes = np.unique(hits.quality)
    return Score(
        efficiency=float(found.mean()),
        of_recoverable=float(found.mean()) / truth.ceiling,
        ghosts=float(np.mean(~right)),
        ghosts_by_quality={int(q): float(np.mean(~right[hits.quality == q])) for q in codes},
        share_by_quality={int(q): float(np.mean(hits.quality == q)) for q in codes},
    )


@dataclass(frozen=True)
class Ion:
    """One ion whose signals are ideal, but for the channels in `missing`."""

    pulse: int
    tof_ps: float
    x_mm: float = 0.0
    y_mm: float = 0.0
    missing: tuple[int, ...] = ()


def ideal_block(ions: list[Ion], pulses: int, model: SignalModel | None = None) -> TdcBlock:
    """The words of ions without jitter, noise or dead time."""
    model = model or SignalModel()
    tof_ps = np.array([ion.tof_ps for ion in ions], float)
    place_mm = np.array([(ion.x_mm, ion.y_mm) for ion in ions], float).reshape(-1, 2).T
    times = signals_of(model, tof_ps, place_mm)
    words = [
        (ion.pulse, channel, times[channel, k])
        for k, ion in enumerate(ions)
        for channel in range(CHANNELS)
        if channel not in ion.missing
    ]
    pulse, channel, time = (
        (np.array(column) for column in zip(*words, strict=True)) if words else (np.zeros(0),) * 3
    )
    return words_block(pulse.astype(int), channel.astype(int), time, pulses, model.bin_ps)


def rows(hits: HitBlock) -> list[tuple[int, ...]]:
    """Hits as (absolute pulse, tof_ps, x_um, y_um, quality, multiplicity)."""
    pulse = hits.pulse.astype(np.int64) + hits.first_pulse
    columns = (pulse, hits.tof_ps, hits.x_um, hits.y_um, hits.quality, hits.multiplicity)
    return [tuple(int(value) for value in row) for row in zip(*columns, strict=True)]


def part_of(block: TdcBlock, a: int, b: int, first_pulse: int, last_pulse: int) -> TdcBlock:
    """Words a to b - 1 of a block, as a block over other pulses."""
    return replace(
        block,
        first_pulse=first_pulse,
        last_pulse=last_pulse,
        pulse=block.pulse[a:b],
        channel=block.channel[a:b],
        time=block.time[a:b],
    )
