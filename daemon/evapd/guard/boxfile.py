"""The file of a black box: one .npz, written whole or not at all, and its reader.

Arrays: `records` (the 10 ms records of acquire), `ticks` (decisions of the guard with what it saw), `margins` (rows as
`ticks`, columns as `rules`, NaN not known), `readings`: JSON lines, and `document`: JSON with causes, rules and events.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from evapd.errors import RecordError

RECORD = np.dtype(
    [
        ("seq", "<u8"),
        ("t_mono_us", "<i8"),
        ("flags", "<u2"),
        ("heartbeat_age_us", "<u4"),
        ("pulse_counter", "<u8"),
        ("live_pulses", "<u8"),
        ("hits_window", "<u8"),
        ("background_hits", "<u8"),
        ("hits_total", "<u8"),
        ("words", "<u8"),
        ("triggers", "<u8"),
        ("early_hits", "<u8"),
        ("map_hits", "<u4"),
        ("hot_hits", "<u4"),
    ]
)
TICK = np.dtype(
    [
        ("t_mono_us", "<i8"),
        ("energy_state", "u1"),
        ("whole", "?"),  # a tick; else a reaction between two
        ("v_dc_set_v", "<f8"),  # commanded; NaN: nothing
        ("v_p_set_v", "<f8"),
        ("output", "i1"),  # -1: not commanded
        ("pulser_enable", "i1"),
        ("make_safe", "u1"),  # how many devices were told to make themselves safe
        ("v_dc_v", "<f8"),
        ("v_p_v", "<f8"),
        ("i_a", "<f8"),
        ("rate", "<f8"),
        ("log_rate", "<f8"),
        ("target_rate", "<f8"),
        ("sensitivity", "<f8"),
    ]
)


@dataclass(slots=True)
class Box:
    """What a black box holds; times in microseconds of CLOCK_MONOTONIC."""

    causes: list[dict[str, Any]]  # the trip first; what tripped in the five seconds after it follows
    rules: list[str]
    records: NDArray[Any]
    ticks: NDArray[Any]
    margins: NDArray[np.float32]
    readings: Iterable[dict[str, Any]]
    events: list[dict[str, Any]]


def write_box(path: Path, box: Box) -> None:
    """Write a box; the file appears whole or not at all. Raises OSError."""
    document = {
        "v": 1,
        "causes": box.causes,
        "rules": box.rules,
        "events": box.events,
    }
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                records=box.records,
                ticks=box.ticks,
                margins=box.margins,
                readings=_bytes(b"\n".join(json.dumps(row, default=str).encode() for row in box.readings)),
                document=_bytes(json.dumps(document, default=str).encode()),
            )
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def read_box(path: Path) -> Box:
    """Read a box.

    Raises:
        RecordError: when the file cannot be read or is none.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            document = json.loads(content["document"].tobytes())
            return Box(
                causes=document["causes"],
                rules=document["rules"],
                records=content["records"],
                ticks=content["ticks"],
                margins=content["margins"],
                readings=[json.loads(line) for line in content["readings"].tobytes().splitlines()],
                events=document["events"],
            )
    except OSError as error:
        raise RecordError(f"black box {path}: {error.strerror or error}") from error
    except (BadZipFile, KeyError, ValueError, EOFError) as error:
        raise RecordError(f"{path} is no black box, or a damaged one: {error}") from error


def _bytes(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(text, dtype=np.uint8)
