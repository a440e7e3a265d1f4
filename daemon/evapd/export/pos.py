"""POS and ePOS: headerless, big endian, one record per ion.

POS is 4 float32 per ion: x, y, z in nm, m/q in Da. ePOS is 9 float32 and 2 uint32: those four, time of flight in ns
(uncorrected), V_dc, V_p, detector x and y in mm, pulses since the last pulse with an ion, ions in the pulse. Layouts: Larson,
Prosa, Ulfig, Geiser, Kelly, "Local Electrode Atom Probe Tomography", Springer 2013, appendix A, tables A.3 and A.4. That
table gives voltages in kV; the toolboxes in use read volts, so V is written unless kV is asked for. The number of ions
stands on the first ion of a pulse, 0 on the rest.
"""

from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evapd.export.events import Ions
from evapd.units import PS_PER_NS, UM_PER_MM

POS = np.dtype([(name, ">f4") for name in ("x_nm", "y_nm", "z_nm", "mass_da")])
EPOS = np.dtype(
    [*POS.descr]
    + [(name, ">f4") for name in ("tof_ns", "v_dc", "v_p", "x_mm", "y_mm")]
    + [("pulses_since", ">u4"), ("ions_in_pulse", ">u4")]
)


def write_pos(file: BinaryIO, batches: Iterable[Ions]) -> int:
    """Write projected ions as POS; gives their number."""
    written = 0
    for ions in batches:
        rows = np.empty(ions.hits.n, POS)
        _fill_pos(rows, ions)
        file.write(rows.tobytes())
        written += len(rows)
    return written


def write_epos(file: BinaryIO, batches: Iterable[Ions], *, volts_per_unit: float = 1.0) -> int:
    """Write projected ions as ePOS, voltages in units of `volts_per_unit` (1 or 1000); gives their number."""
    written = 0
    for ions in batches:
        hits = ions.hits
        rows = np.empty(hits.n, EPOS)
        _fill_pos(rows, ions)
        rows["tof_ns"] = hits.tof_ps / PS_PER_NS
        rows["v_dc"] = hits.v_dc_v / volts_per_unit
        rows["v_p"] = np.nan_to_num(hits.v_p_v) / volts_per_unit
        rows["x_mm"] = hits.x_um / UM_PER_MM
        rows["y_mm"] = hits.y_um / UM_PER_MM
        rows["pulses_since"] = ions.pulses_since
        rows["ions_in_pulse"] = ions.multiplicity
        file.write(rows.tobytes())
        written += len(rows)
    return written


def _fill_pos(rows: NDArray[Any], ions: Ions) -> None:
    assert ions.xyz_nm is not None  # noqa: S101 - these formats are given projected ions
    for k, name in enumerate(("x_nm", "y_nm", "z_nm")):
        rows[name] = ions.xyz_nm[:, k]
    rows["mass_da"] = ions.mass_da
