"""Quantities against the time since the start of the run, each as a plot of its own."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evapd.record.finalising.column import Column
from evapd.record.finalising.spool import Spool
from evapd.units import US_PER_S

_ROWS = 4096
_UNFIT = re.compile(r"[^A-Za-z0-9_]")
# NeXus gives these endings a meaning of their own, and a validator looks for the field they belong to.
_RESERVED = ("_set", "_errors", "_mask", "_weights", "_indices", "_end", "_offset", "_scaling_factor")
_TIME = "time since the start of the run"


class Series:
    """One history; readings come in ascending time."""

    def __init__(self, elapsed: Column, value: Column, t_start_us: int) -> None:
        self._elapsed, self._value, self._t_start_us = elapsed, value, t_start_us
        self.sum = 0.0

    def append(self, t_us: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Add readings."""
        self._elapsed.append((t_us - self._t_start_us) / US_PER_S)
        self._value.append(value)
        self.sum += float(value.sum())

    @property
    def mean(self) -> float:
        """Mean of all readings; NaN without any."""
        return self.sum / self._value.rows if self._value.rows else float("nan")


class Histories:
    """The histories by name, such as `voltage` or `pressure_analysis`."""

    def __init__(self, spool: Spool, group: str, t_start_us: int) -> None:
        self._spool, self._group, self._t_start_us = spool, group, t_start_us
        self._series: dict[str, Series] = {}
        self.titles: dict[str, str] = {}
        self._owners: dict[str, str] = {}

    def series(self, name: str, title: str, units: str, owner: str = "") -> Series:
        """Give a history, made when it is not there; a second owner of a name gets one of its own."""
        name = _UNFIT.sub("_", name)
        if name.endswith(_RESERVED):
            name += "_reading"
        if self._owners.setdefault(name, owner) != owner:
            name = f"{name}_{owner.split('/', 1)[0]}"
            self._owners[name] = owner
        if name not in self._series:
            about = {"elapsed_time": ("s", _TIME), name: (units, title)}
            elapsed, value = (
                self._spool.column(
                    f"{self._group}/{name}_curve/{field}",
                    "<f8",
                    rows=_ROWS,
                    units=unit,
                    attributes={"long_name": f"{words} ({unit})" if unit != "1" else words},
                )
                for field, (unit, words) in about.items()
            )
            self._series[name], self.titles[name] = Series(elapsed, value, self._t_start_us), title
        return self._series[name]

    def mean(self, beginning: str) -> float:
        """Give the mean of the first history whose name begins so; NaN where there is none."""
        found = (series.mean for name, series in self._series.items() if name.startswith(beginning))
        return next(found, float("nan"))

    def kept(self) -> list[list[Any]]:
        """Give what is needed to go on later."""
        return [[name, self.titles[name], self._owners[name], one.sum] for name, one in self._series.items()]

    def restore(self, kept: list[list[Any]]) -> None:
        """Go on with what `kept` gave."""
        for name, title, owner, total in kept:
            self._owners[name] = owner
            self.series(name, title, "", owner).sum = total
