"""Recorded hits become words of the rig's anode, in their own time, while the supply plays the recorded voltage.

Pulse numbers are the recorded ones minus the first. Nothing is played before the TDC is armed; arming again starts
from the beginning. Whole pulses are delivered: a pulse comes with all its hits.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evapd.units import NS_PER_S, PS_PER_NS
from evapd_sim.anode import AnodeFile
from evapd_sim.converter import TdcInputs
from evapd_sim.plant import Plant
from evapd_sim.raw import RawHits, read_raw, write_raw
from evapd_sim.raw_made import make_raw
from evapd_sim.settings import ReplayTwin
from evapd_sim.signals import DelayLines
from evapd_sim.step import StepResult, Truth

_EPOCH_S = 1e-3


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """Which file is played, and whether it had to be generated."""

    path: Path
    generated: bool
    hits: RawHits


def find_source(settings: ReplayTwin, folder: Path) -> ReplaySource:
    """Read the recorded file, or generate one of the same layout below `folder` where it is absent.

    The file is looked for below the folder that `EVAPD_DATA` names, by default `../shared/data`. Says in
    `folder/replay-source.json` what is played.

    Raises:
        ConfigError: when a file is there but is not of the layout.
    """
    path = (Path(os.environ.get("EVAPD_DATA", "../shared/data")) / settings.data).absolute()
    generated = not path.is_file()
    folder.mkdir(parents=True, exist_ok=True)
    if generated:
        path = folder / f"generated-{settings.generated_hits}-seed{settings.seed}.raw"
        write_raw(path, make_raw(settings.generated_hits, settings.seed))
    source = ReplaySource(path, generated, read_raw(path))
    note = {"path": str(path), "generated": generated, "hits": len(source.hits)}
    (folder / "replay-source.json").write_text(json.dumps(note) + "\n", encoding="utf-8")
    return source


class Replay:
    """A recording that plays while the TDC is armed.

    Attributes:
        position: hits played so far.
    """

    def __init__(
        self,
        hits: RawHits,
        settings: ReplayTwin,
        anode: AnodeFile,
        plant: Plant,
        *,
        armed: Callable[[], bool],
        front_panel: Callable[[float], None],
    ) -> None:
        """Prepare to play.

        Args:
            hits: as `read_raw` gives them.
            settings: of the twin.
            anode: the rig's anode.
            plant: its specimen supply is advanced here, with the replay's own quick time constant.
            armed: whether the TDC delivers.
            front_panel: turns the supply's knob to a voltage in V.
        """
        self._plant = plant
        self._armed = armed
        self._front_panel = front_panel
        self._rng = np.random.default_rng(settings.seed)
        self._lines = DelayLines(
            anode,
            jitter_ps=settings.signals.jitter_ps,
            missing=settings.signals.missing,
            noise_hz=0.0,
            effects=settings.signals,
        )
        bin_ps = settings.signals.bin_ps[0] / settings.signals.bin_ps[1]
        self._inputs = TdcInputs(bin_ps=bin_ps, dead_time_ps=settings.signals.dead_time_ps)
        plant.specimen.tau_up_s = plant.specimen.tau_down_s = settings.hv_tau_s
        self._pulse = hits["pulse"].astype(np.int64) - int(hits["pulse"][0])
        epoch = hits["epoch"].astype(np.int64)
        self._time_s = settings.lead_s + (epoch - epoch[0]) * (_EPOCH_S / settings.speed)
        self._tof_ps = hits["tof_ns"].astype(np.float64) * PS_PER_NS
        self._x_mm = hits["x_mm"].astype(np.float64)
        self._y_mm = hits["y_mm"].astype(np.float64)
        voltage_v = hits["u_base_v"].astype(np.float64)
        changes = np.flatnonzero(np.diff(voltage_v, prepend=np.nan) != 0.0)
        self._voltage_v = voltage_v[changes]
        self._voltage_s = self._time_s[changes] - settings.voltage_ahead_s
        self._voltage_s[0] = 0.0  # the operator's own first setting, before any hit
        self._device_s = 0.0
        self.position = 0
        self._played_s = 0.0
        self._next_pulse = 0
        self._knob = 0

    @property
    def hits(self) -> int:
        """Hits of the whole recording."""
        return len(self._pulse)

    @property
    def duration_s(self) -> float:
        """Time from arming to the last hit."""
        return float(self._time_s[-1])

    def step(self, dt_s: float) -> StepResult:
        """Advance by `dt_s`; gives the pulses whose time has come."""
        self._device_s += dt_s
        with self._plant.lock:
            self._plant.specimen.advance(dt_s)
            self._plant.advance_supplies(dt_s)
            v_dc_v = self._plant.specimen.v_v
        t_device_ns = round(self._device_s * NS_PER_S)
        if not self._armed():
            if self._played_s > 0.0:
                self._rewind()
            return StepResult(pulses=0, t_device_ns=t_device_ns, truth=Truth(v_dc_v=v_dc_v))
        self._played_s += dt_s
        self._turn_knob()
        begin, end = self.position, self._end_of_whole_pulses()
        self.position = end
        first = self._next_pulse
        chosen = slice(begin, end)
        pulse = self._pulse[chosen] - first
        pulses = int(pulse[-1]) + 1 if len(pulse) else 0
        self._next_pulse += pulses
        truth = Truth(
            first_arrival=begin,
            pulse=pulse,
            tof_ps=self._tof_ps[chosen],
            x_mm=self._x_mm[chosen],
            y_mm=self._y_mm[chosen],
            species=np.full(end - begin, -1, dtype=np.intp),
            pulsed=np.ones(end - begin, dtype=np.bool_),
            v_dc_v=v_dc_v,
        )
        self._inputs.push(self._lines.signals(self._rng, truth.arrivals, truth.first_arrival))
        # Recorded times are never folded into a later pulse.
        words = self._inputs.take(pulses, period_ps=None)
        return StepResult(
            pulse_offsets=words.pulse,
            channels=words.channel,
            times=words.time,
            owners=words.owner,
            pulses=pulses,
            t_device_ns=t_device_ns,
            exhausted=end == self.hits,
            truth=truth,
        )

    def _rewind(self) -> None:
        self.position = 0
        self._played_s = 0.0
        self._next_pulse = 0
        self._knob = 0
        self._inputs.forget()

    def _turn_knob(self) -> None:
        due = int(np.searchsorted(self._voltage_s, self._played_s, side="right"))
        if due > self._knob:
            self._knob = due
            self._front_panel(float(self._voltage_v[due - 1]))

    def _end_of_whole_pulses(self) -> int:
        """Index after the last hit that is due, the rest of its pulse included."""
        due = int(np.searchsorted(self._time_s, self._played_s, side="right"))
        if due <= self.position:
            return self.position
        return int(np.searchsorted(self._pulse, self._pulse[due - 1], side="right"))
