"""A finalised run seen through a mass calibration: everything that reads masses gets the calibrated ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from evapd.record.nxs import HitChunk, RunFile, nexus_of
from evapd.spectrometry.masses import MassScale, load_scale


class RescaledRun(RunFile):
    """A run whose `mass_to_charge_da` comes from a calibration instead of the file; the file is not touched."""

    def __init__(self, path: Path, scale: MassScale) -> None:
        super().__init__(path)
        self.scale = scale

    def hits(self, start: int = 0, stop: int | None = None) -> HitChunk:
        """Give hits as `RunFile.hits`, with calibrated masses."""
        chunk = super().hits(start, stop)
        return replace(chunk, mass_to_charge_da=self.scale.of_chunk(chunk).astype(np.float32))


def open_rescaled(path: Path, mass: Path | None) -> RunFile:
    """Open a finalised run, with the masses of a calibration file where one is named.

    Raises:
        RecordError: when the run is not finalised or cannot be read.
        ConfigError: when the calibration file is not valid.
    """
    nexus = nexus_of(path)
    return RunFile(nexus) if mass is None else RescaledRun(nexus, load_scale(mass))
