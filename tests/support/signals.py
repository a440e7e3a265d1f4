"""Truth for tests of the matching: ions, the signals of an anode they leave, and how many can be found at all.

The physics is the twin's (`evapd_sim`), which shares nothing with the matching; here it is put into the daemon's blocks.
"""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from evapd.blocks import HitBlock, TdcBlock
from evapd.matching import Anode
from evapd_sim import score as scoring
from evapd_sim.anode import AnodeFile
from evapd_sim.effects import NO_EFFECTS, SignalEffects
from evapd_sim.events import Events
from evapd_sim.score import Score
from evapd_sim.signals import Arrivals
from evapd_sim.stream import Electronics, lines_of
from evapd_sim.stream import simulate as simulate_stream
from evapd_sim.true_hits import RECOVERABLE_SIGNALS, TrueHits

__all__ = [
    "RECOVERABLE",
    "Ion",
    "Score",
    "SignalModel",
    "Truth",
    "ideal_block",
    "part_of",
    "rows",
    "score",
    "signals_of",
    "simulate",
    "words_block",
]

RECOVERABLE = RECOVERABLE_SIGNALS
LAYERS = {"quad": ("x", "y"), "hex": ("u", "v", "w")}
# By kind: per layer time sum, mm per ns and angle, as in `support.anodes`.
_DEFAULTS: dict[str, dict[str, tuple[float, ...]]] = {
    "quad": {
        "time_sum_ps": (110_000.0, 112_000.0),
        "mm_per_ns": (0.8, 0.8),
        "offset_ps": (0.0, 0.0),
        "angle_deg": (0.0, 90.0),
    },
    "hex": {
        "time_sum_ps": (110_000.0, 112_000.0, 114_000.0),
        "mm_per_ns": (0.80, 0.82, 0.78),
        "offset_ps": (0.0, 0.0, 0.0),
        "angle_deg": (0.0, 60.0, 120.0),
    },
}
Walk = tuple[tuple[float, ...], tuple[float, ...]]  # coordinates in mm, what the time sum gains in ps


@dataclass(frozen=True)
class SignalModel:
    """An anode with its electronics, and a stream of events; the defaults are the 30 % multi-hit stream.

    An empty tuple stands for the defaults of the kind of anode.
    """

    detection: float = 0.05  # events per pulse
    multi: float = 0.30  # chance that an event, or a hit of a cascade, has one more hit
    most: int = 8  # hits of one event
    time_sum_ps: tuple[float, ...] = ()
    mm_per_ns: tuple[float, ...] = ()
    offset_ps: tuple[float, ...] = ()
    angle_deg: tuple[float, ...] = ()
    centre_mm: tuple[float, float] = (0.0, 0.0)
    radius_mm: float = 40.0
    jitter_ps: float = 100.0
    missing: float = 0.05  # of every signal
    dead_time_ps: float = 10_000.0
    noise_hz: float = 200.0  # per channel
    dark_hz: float = 20.0
    pulse_rate_hz: float = 200_000.0
    bin_ps: Fraction = Fraction(5000, 384)
    kind: Literal["quad", "hex"] = "quad"
    walk: tuple[Walk | None, ...] = ()  # per layer; none by default
    effects: SignalEffects = NO_EFFECTS
    disc_mm: float | None = field(default=None)  # radius on which ions land; by default the anode's

    def __post_init__(self) -> None:
        for name, default in _DEFAULTS[self.kind].items():
            if not getattr(self, name):
                object.__setattr__(self, name, default)
            if len(getattr(self, name)) != len(default):
                raise ValueError(f"{name}: a {self.kind} anode has {len(default)} layers")

    @classmethod
    def of(cls, anode: Anode, **changes: Any) -> Self:
        """The model whose perfect calibration is `anode`."""
        layers = [anode.layers[name] for name in anode.layer_names]
        return cls(
            **{
                "kind": anode.kind,
                "time_sum_ps": tuple(layer.time_sum_ps for layer in layers),
                "mm_per_ns": tuple(layer.mm_per_ns for layer in layers),
                "offset_ps": tuple(layer.offset_ps for layer in layers),
                "angle_deg": tuple(anode.angle_deg(name) for name in anode.layer_names),
                "walk": tuple(
                    layer.walk and (layer.walk.coordinate_mm, layer.walk.time_sum_ps) for layer in layers
                ),
                "centre_mm": anode.centre_mm,
                "radius_mm": anode.radius_mm,
                "jitter_ps": anode.jitter_ps,
                "dead_time_ps": anode.dead_time_ps,
                **changes,
            }
        )

    @property
    def channels(self) -> int:
        """MCP and two ends of every layer."""
        return 1 + 2 * len(LAYERS[self.kind])

    @property
    def anode(self) -> AnodeFile:
        """The anode as the twin reads it."""
        walks = self.walk or (None,) * len(LAYERS[self.kind])
        layers = {
            name: {
                "time_sum_ps": self.time_sum_ps[k],
                "mm_per_ns": self.mm_per_ns[k],
                "offset_ps": self.offset_ps[k],
                "angle_deg": self.angle_deg[k],
                "walk": walk and {"coordinate_mm": walk[0], "time_sum_ps": walk[1]},
            }
            for k, (name, walk) in enumerate(zip(LAYERS[self.kind], walks, strict=True))
        }
        fields = ("kind", "radius_mm", "centre_mm", "dead_time_ps", "jitter_ps")
        return AnodeFile.model_validate({name: getattr(self, name) for name in fields} | {"layers": layers})

    @property
    def electronics(self) -> Electronics:
        """Losses, noise and bins."""
        return Electronics(missing=self.missing, noise_hz=self.noise_hz, bin_ps=self.bin_ps)


@dataclass(frozen=True)
class Truth:
    """True hits in order of pulse and time, the stream they left, and which can be recovered from it."""

    block: TdcBlock
    true_hits: TrueHits

    @property
    def pulse(self) -> NDArray[np.int64]:
        """Pulse of every true hit."""
        return self.true_hits.pulse

    @property
    def tof_ps(self) -> NDArray[np.float64]:
        """Time of flight of every true hit."""
        return self.true_hits.tof_ps

    @property
    def x_mm(self) -> NDArray[np.float64]:
        """Place of every true hit from the detector's centre."""
        return self.true_hits.x_mm

    @property
    def y_mm(self) -> NDArray[np.float64]:
        """Place of every true hit from the detector's centre."""
        return self.true_hits.y_mm

    @property
    def alive_mask(self) -> NDArray[np.uint8]:
        """Bit 0 for the MCP signal, bit k for channel k: which signals of a hit are in the stream."""
        return self.true_hits.alive

    @property
    def alive(self) -> NDArray[np.uint8]:
        """How many signals of a hit are in the stream."""
        return self.true_hits.signals

    @property
    def recoverable(self) -> NDArray[np.bool_]:
        """Which hits have enough signals in the stream."""
        return self.true_hits.recoverable

    @property
    def multiplicity(self) -> NDArray[np.int64]:
        """True hits in the pulse of each hit."""
        return self.true_hits.multiplicity

    @property
    def ceiling(self) -> float:
        """Share of the true hits of which enough signals survived."""
        return self.true_hits.ceiling


def signals_of(
    model: SignalModel, tof_ps: NDArray[np.float64], place_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ideal times in ps, shape (channels, n), of ions at positions in mm from the centre, shape (2, n)."""
    return lines_of(model.anode, model.electronics, model.effects).times(tof_ps, *place_mm)


def simulate(model: SignalModel, pulses: int, seed: int) -> Truth:
    """A stream over the pulses 0 to `pulses` - 1, and its truth."""
    events = Events(
        detection=model.detection,
        multi=model.multi,
        most=model.most,
        dark_hz=model.dark_hz,
        pulse_rate_hz=model.pulse_rate_hz,
    )
    words, true_hits = simulate_stream(
        model.anode,
        events,
        model.electronics,
        pulses=pulses,
        seed=seed,
        effects=model.effects,
        disc_mm=model.disc_mm,
    )
    block = TdcBlock(
        first_pulse=0,
        last_pulse=pulses - 1,
        bin_ps=model.bin_ps,
        pulse=words.pulse.astype("<u8"),
        channel=words.channel,
        time=words.time.astype("<i4"),
    )
    return Truth(block, true_hits)


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
    found = scoring.Hits(
        pulse=hits.pulse.astype(np.int64) + hits.first_pulse,
        tof_ps=hits.tof_ps.astype(float),
        x_mm=hits.x_um / 1000,
        y_mm=hits.y_um / 1000,
        quality=hits.quality,
    )
    return scoring.score(truth.true_hits, found, tof_ps=tof_ps, distance_mm=distance_mm)


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
    arrivals = Arrivals(
        pulse=np.array([ion.pulse for ion in ions], int),
        t_ps=np.array([ion.tof_ps for ion in ions], float),
        x_mm=np.array([ion.x_mm for ion in ions], float),
        y_mm=np.array([ion.y_mm for ion in ions], float),
    )
    times = signals_of(model, arrivals.t_ps, np.stack([arrivals.x_mm, arrivals.y_mm]))
    seen = np.array([[channel not in ion.missing for ion in ions] for channel in range(model.channels)], bool)
    channel, ion = np.nonzero(seen)
    return words_block(arrivals.pulse[ion], channel, times[seen], pulses, model.bin_ps)


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
