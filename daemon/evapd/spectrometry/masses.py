"""A calibrated mass scale: the formula's constants as fitted, corrections for voltage and place, and their file."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evapd.config.model import Instrument
from evapd.errors import ConfigError
from evapd.mass import mass_to_charge_da
from evapd.record.nxs import HitChunk

Floats = NDArray[np.float64]
MAX_FILE_BYTES = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VoltageCorrection(_Part):
    """By how much ln(m/q) comes out too high, piecewise linear in the accelerating voltage; level beyond the ends."""

    v_v: tuple[float, ...]
    ln_m: tuple[float, ...]

    @model_validator(mode="after")
    def _ascends(self) -> "VoltageCorrection":
        if len(self.v_v) != len(self.ln_m) or len(self.v_v) < 2:
            raise ValueError("v_v and ln_m: wanted are two lists of one length, two values or more")
        if any(b <= a for a, b in zip(self.v_v, self.v_v[1:], strict=False)):
            raise ValueError("v_v: voltages must ascend")
        return self

    def at(self, v_v: ArrayLike) -> Floats:
        """Give the excess of ln(m/q) at voltages in V."""
        return np.interp(np.asarray(v_v, np.float64), self.v_v, self.ln_m)


class BowlCorrection(_Part):
    """By how much ln(m/q) comes out too high at a place: sum of c (x/R)^i (y/R)^j; beyond R as on the rim."""

    radius_mm: Annotated[float, Field(gt=0)]
    terms: tuple[tuple[int, int, float], ...]  # i, j, c

    @model_validator(mode="after")
    def _powers(self) -> "BowlCorrection":
        if any(not (0 <= i <= 8 and 0 <= j <= 8 and i + j > 0) for i, j, _ in self.terms):
            raise ValueError("terms: powers must lie between 0 and 8, and not both be 0")
        return self

    def at(self, x_um: ArrayLike, y_um: ArrayLike) -> Floats:
        """Give the excess of ln(m/q) at detector places in um."""
        x = np.asarray(x_um, np.float64) * (1e-3 / self.radius_mm)
        y = np.asarray(y_um, np.float64) * (1e-3 / self.radius_mm)
        far = np.maximum(np.hypot(x, y), 1.0)
        x, y = x / far, y / far
        total = np.zeros(np.broadcast(x, y).shape)
        for i, j, factor in self.terms:
            total += factor * x**i * y**j
        return total


class MassScale(_Part):
    """Everything that turns a raw hit into m/q; `about` says where it comes from and is not used."""

    evapd_mass_calibration: Literal[1] = 1
    flight_path_mm: Annotated[float, Field(gt=0, le=5000)]
    t0_ps: float
    alpha: Annotated[float, Field(gt=0)]
    beta: Annotated[float, Field(ge=0, lt=2)]
    voltage_mode: bool
    voltage: VoltageCorrection | None = None
    bowl: BowlCorrection | None = None
    about: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, instrument: Instrument, *, voltage_mode: bool) -> "MassScale":
        """Take the constants of a rig file, without corrections."""
        return cls(
            flight_path_mm=instrument.flight_path_mm,
            t0_ps=instrument.t0_ps,
            alpha=instrument.alpha,
            beta=instrument.beta,
            voltage_mode=voltage_mode,
        )

    def accelerating_v(self, v_dc_v: ArrayLike, v_p_v: ArrayLike) -> Floats:
        """Give V_dc + beta V_p in voltage mode, V_dc in laser mode, V."""
        v_v = np.asarray(v_dc_v, np.float64)
        return v_v + self.beta * np.asarray(v_p_v, np.float64) if self.voltage_mode else v_v

    def mass_da(
        self, tof_ps: ArrayLike, x_um: ArrayLike, y_um: ArrayLike, v_dc_v: ArrayLike, v_p_v: ArrayLike
    ) -> Floats:
        """Give m/q in Da: `evapd.mass` with these constants, times exp(-voltage excess - bowl excess); NaN where unknown."""
        mass = mass_to_charge_da(
            tof_ps, x_um, y_um, v_dc_v, v_p_v, flight_path_mm=self.flight_path_mm, t0_ps=self.t0_ps,
            alpha=self.alpha, beta=self.beta, voltage_mode=self.voltage_mode,
        )  # fmt: skip
        excess: Floats | float = 0.0
        if self.voltage is not None:
            excess = self.voltage.at(self.accelerating_v(v_dc_v, v_p_v))
        if self.bowl is not None:
            excess = excess + self.bowl.at(x_um, y_um)
        return np.asarray(mass * np.exp(-np.asarray(excess)), np.float64)

    def of_chunk(self, chunk: HitChunk) -> Floats:
        """Give m/q of recorded hits, Da."""
        return self.mass_da(chunk.tof_ps, chunk.x_um, chunk.y_um, chunk.v_dc_v, chunk.v_p_v)

    def text(self) -> str:
        """Give the file's text (YAML)."""
        head = (
            "# evapd mass calibration; use it with --mass, or copy the first four constants into the rig file.\n"
            "# m/q = 2 e alpha (V_dc + beta V_p) (t - t0)^2 / (L^2 + x^2 + y^2) * exp(-voltage - bowl)\n"
        )
        content = self.model_dump(mode="json", exclude_none=True)
        return head + yaml.safe_dump(content, sort_keys=False, width=110, default_flow_style=None)


def load_scale(path: Path) -> MassScale:
    """Read a mass calibration file.

    Raises:
        ConfigError: when it cannot be read, is no YAML, or not such a file; each problem is named.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(
                f"{path}: larger than a mass calibration can be; name the file of `evapd calibrate-mass`"
            )
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; name the file that `evapd calibrate-mass` wrote"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or "evapd_mass_calibration" not in content:
        raise ConfigError(f"{path} is no mass calibration: the key evapd_mass_calibration is missing")
    try:
        return MassScale.model_validate(content)
    except ValidationError as error:
        found = [f"{path}: {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(found), found) from None
