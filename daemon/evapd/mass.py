"""Time of flight to mass-to-charge ratio: the one home of the formula."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evapd.units import DALTON_KG, ELEMENTARY_CHARGE_C

_S_PER_PS = 1e-12
_M_PER_MM = 1e-3
_M_PER_UM = 1e-6
DA_PER_V_S2_M2 = 2.0 * ELEMENTARY_CHARGE_C / DALTON_KG
"""2 e in units of a dalton: m/q in Da of 1 V, 1 s and 1 m."""


def ratio_da(factor: Any, v_v: Any, flight_s: Any, path_m2: Any) -> Any:
    """Give m/q in Da; plain arithmetic, so that arrays and compiled kernels use the same.

    Args:
        factor: DA_PER_V_S2_M2 times alpha.
        v_v: accelerating voltage, V.
        flight_s: time from departure to arrival, s.
        path_m2: square of the way flown, m^2.
    """
    return factor * v_v * (flight_s * flight_s) / path_m2


def mass_to_charge_da(
    tof_ps: ArrayLike,
    x_um: ArrayLike,
    y_um: ArrayLike,
    v_dc_v: ArrayLike,
    v_p_v: ArrayLike,
    *,
    flight_path_mm: float,
    t0_ps: float,
    alpha: float,
    beta: float,
    voltage_mode: bool,
) -> NDArray[np.float64]:
    """Mass-to-charge ratio of ions on a straight flight path, in Da per elementary charge.

    m/q = 2 e alpha (V_dc + beta V_p) (t - t0)^2 / l^2 with l^2 = L^2 + x^2 + y^2; without the V_p term in laser
    mode. It is conservation of energy on a straight line from apex to detector (Gault, Moody, Cairney, Ringer,
    "Atom Probe Microscopy", Springer 2012, chapter 3), with alpha and beta as fitted factors.

    Args:
        tof_ps: raw time of flight, ps, any shape that broadcasts with the others.
        x_um: detector position, um from the centre of the axis.
        y_um: the same along y.
        v_dc_v: standing voltage at the ion's own pulse, V.
        v_p_v: pulse amplitude at the ion's own pulse, V; not looked at in laser mode.
        flight_path_mm: L, apex to detector, mm.
        t0_ps: reading of the clock at departure, ps.
        alpha: factor on the accelerating voltage.
        beta: part of V_p that accelerates.
        voltage_mode: True for voltage pulses, False for laser pulses.

    Returns:
        float64 in Da; NaN where a voltage is unknown or the time is not after t0.
    """
    flight_s = (np.asarray(tof_ps, dtype=np.float64) - t0_ps) * _S_PER_PS
    path_m2 = (
        (flight_path_mm * _M_PER_MM) ** 2
        + (np.asarray(x_um, dtype=np.float64) * _M_PER_UM) ** 2
        + (np.asarray(y_um, dtype=np.float64) * _M_PER_UM) ** 2
    )
    v_v = np.asarray(v_dc_v, dtype=np.float64)
    if voltage_mode:
        v_v = v_v + beta * np.asarray(v_p_v, dtype=np.float64)
    ratio = ratio_da(DA_PER_V_S2_M2 * alpha, v_v, flight_s, path_m2)
    return np.where(flight_s > 0.0, ratio, np.nan)
