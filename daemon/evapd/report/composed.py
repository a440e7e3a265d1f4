"""`evapd compose`: a finalised run and a range file in, a composition with errors out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evapd.errors import StateError
from evapd.spectrometry.composition import (
    METHODS,
    ChargeRatio,
    Counted,
    Histogram,
    Method,
    RangeCounter,
    Share,
    backgrounds,
    charge_of,
    charge_ratios,
    shares_of,
)
from evapd.spectrometry.ions import ELECTRON_DA, MAX_CHARGE, isotope_table
from evapd.spectrometry.ranges import load_ranges
from evapd.spectrometry.rescaled import open_rescaled

_BEYOND_DA = 20.0  # above the last range, for the background


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What was counted and what follows from it."""

    run_id: str
    ranges_file: str
    method: Method
    hits: int
    without_mass: int
    counted: tuple[Counted, ...]
    shares: tuple[Share, ...]
    ratios: tuple[ChargeRatio, ...]
    notes: tuple[str, ...]

    @property
    def ranged(self) -> int:
        """Hits in any range."""
        return sum(each.hits for each in self.counted)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "run": self.run_id,
            "ranges_file": self.ranges_file,
            "background": {"method": self.method, "words": METHODS[self.method]},
            "hits": self.hits,
            "hits_without_mass": self.without_mass,
            "ranged_hits": self.ranged,
            "composition": [
                {"element": s.element, "atoms": s.atoms, "fraction": s.fraction, "standard_error": s.error} for s in self.shares
            ],
            "charge_state_ratios": [
                {"ion": r.ion, "charges": [r.charge + 1, r.charge], "ratio": r.ratio, "standard_error": r.error} for r in self.ratios
            ],
            "ranges": [
                {
                    "low_da": c.range.low_da, "high_da": c.range.high_da, "ion": c.range.ion, "charge": c.charge, "hits": c.hits,
                    "background": c.background, "background_error": c.background_error, "net": c.net,
                }
                for c in self.counted
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def text(self) -> str:
        """Say it to a person."""
        lines = [
            f"composition of run {self.run_id} by {self.ranges_file}: {self.ranged:,} of {self.hits:,} hits are ranged",
            f"  background: {self.method} ({METHODS[self.method]})",
            "  element        atoms   atomic %   +- (one standard error, counting alone)",
        ]
        lines += [
            f"  {s.element:8s} {s.atoms:12,.0f}   {100 * s.fraction:8.4f}   {100 * s.error:.4f}"
            for s in self.shares
        ]
        if not self.shares:
            lines.append("  nothing above the background lies in ranges of known elements")
        lines += [
            f"  {r.ion}{r.charge + 1}+ / {r.ion}{r.charge if r.charge > 1 else ''}+ = {r.ratio:.4g} +- {r.error:.2g}"
            for r in self.ratios
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def compose_run(
    run_path: Path,
    ranges: Path,
    *,
    method: Method = "flat-tof",
    mass: Path | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Composition:
    """Count the hits of a finalised run in the ranges of a file.

    Raises:
        ConfigError: when the range file or the mass calibration is not valid.
        RecordError: when the run cannot be read.
        StateError: when it has no mass-to-charge ratios.
    """
    file = load_ranges(ranges)
    notes = list(file.notes)
    counter = RangeCounter(file.ranges)
    histogram = Histogram(file.ranges[-1].high_da + _BEYOND_DA)
    with open_rescaled(run_path, mass) as run:
        seen = 0
        for chunk in run.iter_hits():
            if chunk.mass_to_charge_da is None:
                raise StateError(
                    f"run {run.info.id} has no mass-to-charge ratios (no straight flight path); give a calibration with --mass"
                )
            counter.add(chunk.mass_to_charge_da)
            histogram.add(chunk.mass_to_charge_da)
            seen += chunk.n
            progress(seen / run.n_hits)
        run_id = run.info.id
    counted = []
    below_all, used = backgrounds(histogram, file.ranges, method)
    if used != method:
        notes.append(
            f"the ranges leave too little of the spectrum free for {method}; the background is by {used}"
        )
    pairs = zip(file.ranges, counter.hits.tolist(), below_all, strict=True)
    for each, hits, (below, error) in pairs:
        charge = charge_of(each, isotope_table(), most=MAX_CHARGE, electron_da=ELECTRON_DA)
        counted.append(Counted(each, hits, below, error, charge))
    strange = sorted({symbol for each in file.ranges for symbol, _ in each.atoms} - set(isotope_table()))
    if strange:
        notes.append(f"not in the table of isotopes, so without charge states: {', '.join(strange)}")
    lost = [
        f"{c.range.ion} {c.range.low_da:g} to {c.range.high_da:g} Da"
        for c in counted
        if c.range.atoms and c.charge is None
    ]
    if lost:
        notes.append(f"no isotope of the ion lies in the range: {'; '.join(lost)}")
    if below_zero := [c.range.ion for c in counted if c.net < 0]:
        notes.append(
            f"fewer hits than background in ranges of {', '.join(sorted(set(below_zero)))}: nothing of it is seen there"
        )
    return Composition(
        run_id=run_id, ranges_file=file.path.name, method=used, hits=histogram.total, without_mass=histogram.without_mass,
        counted=tuple(counted), shares=tuple(shares_of(counted)), ratios=tuple(charge_ratios(counted)), notes=tuple(notes),
    )  # fmt: skip
