"""Run folders as acquire and guard leave them: made from the physics of a straight flight path, with a seed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evapd.blocks import Anchor, Column, HitBlock
from evapd.record.journal import JournalWriter
from evapd.record.run import RunInfo, RunStore, Segment, new_run_folder
from evapd.stream.frame import EVENT, LOOP, SLOW, STATE, Framer
from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C

T_UTC = 1_795_207_200_000_000  # 2026-11-20T20:40:00Z
T_MONO = 5_000_000_000
RATE_HZ = 200_000
BLOCK_S = 0.05
INSTRUMENT = {"flight_path_mm": 110.0, "t0_ps": 38_000.0, "alpha": 1.015, "beta": 0.7}
MASSES_DA = np.array([26.98, 13.49, 27.97, 18.6, 1.008])
LOOP_COLUMNS = (
    ("t_mono_us", "<i8", "us"), ("pulse", "<i8", "pulse"), ("v_dc_set_v", "<f8", "V"), ("v_dc_v", "<f8", "V"),
    ("v_dc_t_us", "<i8", "us"), ("v_p_set_v", "<f8", "V"), ("v_p_v", "<f8", "V"), ("v_p_t_us", "<i8", "us"),
    ("i_a", "<f8", "A"), ("rate", "<f8", ""), ("log_rate", "<f8", ""), ("log_rate_sd", "<f8", ""),
    ("target_rate", "<f8", ""), ("sensitivity", "<f8", ""), ("hits", "<f8", ""), ("pulses", "<f8", ""),
    ("background", "<f8", ""), ("energy_state", "|u1", ""), ("valid", "|u1", ""),
)  # fmt: skip


def v_dc_v(t_us: np.ndarray) -> np.ndarray:
    """The specimen's voltage: 3000 V at the start, rising by 5 V/s."""
    return 3000.0 + 5.0 * (np.asarray(t_us, dtype=float) - T_MONO) / 1e6


def info_of(folder: Path, **changes) -> RunInfo:
    made = {
        "id": folder.name,
        "name": "tip",
        "state": "running",
        "t_start_utc": T_UTC,
        "t_start_mono_us": T_MONO,
        "specimen": {"name": "tip", "elements": ["Al", "Fe"], "initial_radius_nm": 30.0},
        "is_simulation": True,
        "configuration": {
            "instrument": INSTRUMENT,
            "pulse": {"mode": "voltage", "rate_hz": float(RATE_HZ), "fraction": 0.2},
            "control": {"law": "pi-log", "target_rate": 0.01, "v_max_v": 7000.0},
        },
        "segments": (Segment(number=0, first_pulse=0, t_mono_us=T_MONO, t_utc=T_UTC),),
    }
    return RunInfo.model_validate(made | changes)


@dataclass
class Recorder:
    """One process's framer and journal."""

    framer: Framer
    journal: JournalWriter
    now_us: list[int]

    @classmethod
    def at(cls, folder: Path, prefix: str, run: str, segment_bytes: int = 2_000_000) -> "Recorder":
        now = [T_MONO]
        framer = Framer(prefix, lambda: now[0], lambda: T_UTC + now[0] - T_MONO, run=run)
        journal = JournalWriter(
            folder,
            prefix=prefix,
            segment_bytes=segment_bytes,
            queue_bytes=1 << 30,
            reserve_bytes=0,
            on_fault=lambda what: None,
            clock=time.monotonic,
        )
        return cls(framer, journal, now)


def blocks(seconds: float, rate: float = 0.01, seed: int = 1) -> Iterator[HitBlock]:
    """Hits as a detector gives them: masses of Al, Fe and H, 0.3 ns of jitter, one tenth in multiple events."""
    rng = np.random.default_rng(seed)
    per_block = int(RATE_HZ * BLOCK_S)
    for number in range(round(seconds / BLOCK_S)):
        first = number * per_block
        n = int(rng.poisson(per_block * rate))
        pulse = np.sort(rng.integers(0, per_block, n))
        twins = rng.random(n) < 0.1
        pulse[1:] = np.where(twins[1:], pulse[:-1], pulse[1:])
        counts = np.bincount(pulse, minlength=per_block)[pulse]
        radius, angle = 38e3 * np.sqrt(rng.random(n)), rng.random(n) * 2 * np.pi
        x_um, y_um = radius * np.cos(angle), radius * np.sin(angle)
        t_us = T_MONO + (first + pulse) * 1e6 / RATE_HZ
        v_v = INSTRUMENT["alpha"] * v_dc_v(t_us) * (1 + 0.2 * INSTRUMENT["beta"])
        mass = rng.choice(MASSES_DA, n, p=[0.6, 0.2, 0.12, 0.05, 0.03])
        path_m2 = (0.110**2) + (x_um**2 + y_um**2) * 1e-12
        tof_s = np.sqrt(mass * DALTON_KG * path_m2 / (2 * ELEMENTARY_CHARGE_C * v_v))
        tof_ps = tof_s * 1e12 * (1 + rng.exponential(3e-4, n)) + INSTRUMENT["t0_ps"] + rng.normal(0, 300, n)
        last = first + per_block - 1
        yield HitBlock(
            first_pulse=first,
            last_pulse=last,
            pulse=pulse.astype(np.uint32),
            tof_ps=np.round(tof_ps).astype(np.int32),
            x_um=np.round(x_um).astype(np.int32),
            y_um=np.round(y_um).astype(np.int32),
            quality=np.where(rng.random(n) < 0.05, 2, 0).astype(np.uint8),
            multiplicity=np.minimum(counts, 255).astype(np.uint8),
            anchor=Anchor(last, T_MONO + round((last + 1) * 1e6 / RATE_HZ)),
            calibration="test",
            inhibited_pulses=per_block if number == 2 else 0,
        )


def loop_rows(t_us: int, v_p: bool = True) -> dict[Column, list[float]]:
    """One tick: V_dc was read 12 ms before, V_p 30 ms before."""
    known = {
        "t_mono_us": t_us, "pulse": (t_us - T_MONO) * RATE_HZ // 1_000_000, "v_dc_set_v": v_dc_v(t_us) + 1,
        "v_dc_v": v_dc_v(t_us - 12_000), "v_dc_t_us": t_us - 12_000, "v_p_set_v": 0.2 * v_dc_v(t_us),
        "v_p_v": 0.2 * v_dc_v(t_us - 30_000) if v_p else np.nan, "v_p_t_us": t_us - 30_000, "rate": 0.01,
        "target_rate": 0.01, "energy_state": 3, "valid": 1,
    }  # fmt: skip
    return {Column(*column): [known.get(column[0], np.nan)] for column in LOOP_COLUMNS}


def slow_content(t_us: int) -> dict:
    reading = {
        "t_mono_s": t_us / 1e6,
        "pressure_pa": {"analysis": 2e-8, "buffer": None},
        "status": {"analysis": "ok"},
    }
    cold = {
        "t_mono_s": t_us / 1e6,
        "temperature_k": {"tip": 50.0 + 1e-3 * (t_us % 7)},
        "heater_percent": 12.5,
    }
    axis = {"position_mm": 1.25 + 1e-6 * (t_us % 3), "referenced": True, "following_error_mm": None}
    place = {"t_mono_s": t_us / 1e6, "axes": {"x": axis}}
    return {
        "t_mono_us": t_us,
        "devices": {
            "vacuum": {"role": "vacuum", "state": "online", "age_s": 0.1, "reading": reading},
            "cryo": {"role": "temperature", "state": "online", "age_s": 0.1, "reading": cold},
            "stage": {"role": "stage", "state": "lost", "age_s": None, "reading": None},
            "holder": {"role": "stage", "state": "online", "age_s": 0.1, "reading": place},
        },
    }


def record_guard(store: RunStore, seconds: float, *, v_p: bool = True) -> None:
    """Write the guard's journal of a run."""
    guard = Recorder.at(store.guard_journal, "guard", store.folder.name)
    ticks = round(seconds / BLOCK_S)
    for tick in range(-4, ticks + 5):
        guard.now_us[0] = t_us = T_MONO + round(tick * BLOCK_S * 1e6)
        guard.journal.append(guard.framer.samples(LOOP, loop_rows(t_us, v_p)))
        if tick % 20 == 0:
            guard.journal.append(guard.framer.document(SLOW, slow_content(t_us)))
    guard.journal.append(
        guard.framer.document(
            EVENT, {"kind": "energy", "severity": "info", "what": "safe", "source": "guard"}
        )
    )
    guard.journal.close()


def record_acquire(store: RunStore, seconds: float, rate: float = 0.01) -> list[HitBlock]:
    """Write acquire's journal of a run; gives the blocks."""
    acquire = Recorder.at(store.journal, "acquire", store.folder.name)
    acquire.journal.append(acquire.framer.document(STATE, {"run_state": "running"}))
    made = list(blocks(seconds, rate))
    for block in made:
        acquire.now_us[0] = block.anchor.t_mono_us + 2000
        acquire.journal.append(acquire.framer.hits(block))
    acquire.journal.close()
    return made


def record_run(runs: Path, seconds: float, rate: float = 0.01, **changes) -> tuple[RunStore, list[HitBlock]]:
    """Write a whole run folder, still in state `running` unless `changes` say otherwise."""
    folder = new_run_folder(runs, "tip", T_UTC)
    store = RunStore(folder)
    store.create(info_of(folder, **changes))
    record_guard(store, seconds)
    return store, record_acquire(store, seconds, rate)
