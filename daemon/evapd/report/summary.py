"""The end of a run in a few lines: measured numbers only."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evapd.errors import StateError
from evapd.record.nxs import RunFile, open_run
from evapd.report.digest import RunDigest, gather
from evapd.report.found import elements_of, find_named_peaks
from evapd.report.held import RateSummary, summarise_rate
from evapd.report.losses import losses_of
from evapd.report.targets import Targets
from evapd.report.wording import lines_of
from evapd.spectrometry.naming import Naming

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run was. Times in s since the run's start, voltages in V as measured, rates in hits per live pulse."""

    run_id: str
    folder: Path
    report: Path | None  # the PNG, where there is one
    specimen: str
    elements: tuple[str, ...]  # as the configuration names them
    law: str
    state: str
    conditions: tuple[str, ...]
    end_reason: str
    hits: int
    hits_in_window: int  # in the time-of-flight window
    pulses: int
    live_pulses: int
    duration_s: float  # from the first pulse to the stop
    mean_rate: float  # hits in the window per live pulse of the whole run
    rate: RateSummary | None  # None: the law holds no rate
    v_dc_v: Range | None  # lowest and highest at a hit
    v_dc_at_target_v: Range | None
    v_tot_max_v: float | None
    naming: Naming | None  # None: the file has no mass-to-charge ratios, or the peak finder is not installed
    no_peaks: str  # why there are none, or nothing
    losses: dict[str, int]

    def lines(self) -> list[str]:
        """Give the summary for people."""
        return lines_of(self)

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON; what is not a number becomes None."""
        return dict(_plain(asdict(self)))


def summarise(run_path: Path) -> Summary:
    """Summarise a finalised run.

    Args:
        run_path: its folder or its `.nxs` file.

    Raises:
        RecordError: when it is not finalised or cannot be read.
    """
    with open_run(run_path) as run:
        return summary_of(run, gather(run))


def summary_of(run: RunFile, digest: RunDigest) -> Summary:
    """Summarise what was gathered of an open run."""
    info = run.info
    targets = Targets.of(info)
    rate = summarise_rate(digest.rates, targets, digest.stop_s, digest.together)
    try:
        no_peaks = _without_masses(digest)
        naming = None if no_peaks else find_named_peaks(digest.spectrum, info)
    except StateError as error:
        naming, no_peaks = None, str(error)
    at_target_v = None
    if rate is not None and rate.reached_s is not None:
        at_target_v = digest.voltages.range_v(rate.reached_s, digest.stop_s)
    report = run.path.with_suffix(".png")
    live = digest.times.live
    return Summary(
        run_id=info.id,
        folder=run.path.parent,
        report=report if report.exists() else None,
        specimen=str(info.specimen.get("name") or info.name),
        elements=elements_of(info),
        law=str((info.configuration.get("control") or {}).get("law", "unknown")),
        state=info.state,
        conditions=tuple(str(flag) for flag in info.conditions),
        end_reason=info.end_reason,
        hits=digest.hits,
        hits_in_window=digest.in_window,
        pulses=digest.times.end - digest.times.first,
        live_pulses=live,
        duration_s=max(0.0, digest.stop_s - digest.times.begin_s),
        mean_rate=digest.in_window / live if live else math.nan,
        rate=rate,
        v_dc_v=digest.v_dc_range_v,
        v_dc_at_target_v=at_target_v,
        v_tot_max_v=digest.voltages.v_tot_max_v,
        naming=naming,
        no_peaks=no_peaks,
        losses=losses_of(info, run.losses(), digest.hits),
    )


def _without_masses(digest: RunDigest) -> str:
    """Why there is nothing to look for peaks in; empty where there is."""
    if not digest.hits:
        return "no hits"
    if digest.spectrum is None:
        return "the record gives no mass-to-charge ratios (no straight flight path)"
    if digest.v_dc_range_v is None:
        return "no hit has a known voltage, so none has a mass-to-charge ratio"
    return "" if digest.spectrum.n else "no hit has a mass-to-charge ratio in range"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
