"""A series that was measured otherwise, such as shifts of images, from a CSV file."""

import csv
from pathlib import Path

import numpy as np

from evapd.errors import StateError
from evapd.stage.procedure import Series

TIME = "t_s"


def read_series(path: Path) -> Series:
    """Read a head line (`t_s` where times are known, and a column in nm per axis) and one line per return.

    Raises:
        StateError: when it cannot be read, has no axis, or a cell is no number; with the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path}: {error}") from error
    head, body = ([cell.strip() for cell in rows[0]], rows[1:]) if rows else ([], [])
    axes = tuple(name.removesuffix("_nm") for name in head if name != TIME)
    if not axes:
        raise StateError(f"{path}: no column of an axis; wanted is a head line such as 't_s,x_nm,y_nm'")
    values = np.array([_numbers(path, number, row, len(head)) for number, row in enumerate(body, 2) if row])
    if len(values) < 3:
        raise StateError(f"{path}: {len(values)} lines of numbers, a series needs three or more")
    t_s = values[:, head.index(TIME)] if TIME in head else np.zeros(len(values))
    places = [place for place, name in enumerate(head) if name != TIME]
    return Series(axes, values[:, places], t_s)


def _numbers(path: Path, number: int, row: list[str], width: int) -> list[float]:
    try:
        values = [float(cell) for cell in row]
    except ValueError as error:
        raise StateError(f"{path}:{number}: {error}") from error
    if len(values) != width or not np.all(np.isfinite(values)):
        raise StateError(f"{path}:{number}: {len(values)} numbers, wanted are {width} finite ones")
    return values
