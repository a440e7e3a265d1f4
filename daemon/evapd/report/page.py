"""The report of a run as one HTML file that needs nothing else: its pictures lie in it, and it has no script."""

import base64
import html
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evapd.errors import RecordError
from evapd.report.digest import gather
from evapd.report.plot import plot_run, report_figure
from evapd.report.summary import Summary, summary_of
from evapd.spectrometry.rescaled import open_rescaled

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1640px; margin: 1.5rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; background: white; border: 1px solid #8888; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
td.num { text-align: right; font-variant-numeric: tabular-nums; }
h2 { font-size: 1.1rem; }
"""
"""Colours follow the reader's own choice of dark or light; the picture is always on white."""


def write_report(run_path: Path, output: Path | None = None, mass: Path | None = None) -> Path:
    """Write the report of a finalised run: a page where `output` ends in `.html`, else a picture; see `write_page`, `plot_run`."""
    if output is not None and output.suffix == ".html":
        return write_page(run_path, output, mass)
    return plot_run(run_path, output, mass)


def write_page(run_path: Path, output: Path, mass: Path | None = None) -> Path:
    """Write the report of a finalised run as one HTML file.

    Args:
        run_path: its folder or its `.nxs` file.
        output: where the file goes.
        mass: mass calibration file to be used instead of the recorded masses.

    Raises:
        ConfigError: when the mass calibration file is not valid.
        RecordError: when the run is not finalised or cannot be read, or the page cannot be written.
        StateError: when matplotlib is missing, with how to get it.
    """
    with open_rescaled(run_path, mass) as run:
        digest = gather(run)
        summary = summary_of(run, digest)
        drawn = io.BytesIO()
        report_figure(run, digest, summary).savefig(drawn, format="png")
        parts = [*_head(summary, drawn.getvalue()), *_peaks(summary), *_story(run.info)]
    part = output.with_name(f"{output.name}.part")
    try:
        part.write_text("\n".join(parts) + "\n", encoding="utf-8")
        part.replace(output)
    except OSError as error:
        raise RecordError(f"{output}: {error.strerror or error}; name another place with --output") from error
    finally:
        part.unlink(missing_ok=True)
    return output


def _head(summary: Summary, png: bytes) -> Iterator[str]:
    title = html.escape(summary.run_id)
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body><main>"
    yield f"<h1>{title}</h1>"
    yield from _table((), _told(summary))
    picture = base64.b64encode(png).decode()
    words = "mass spectrum, detector map, histories of voltage and rate, qualities, multiplicity and peaks"
    yield f'<img alt="{words} of the run" src="data:image/png;base64,{picture}">'


def _told(summary: Summary) -> Iterator[tuple[str, str]]:
    """What the summary tells, but for what has a table below and for paths on the machine that drew it."""
    name = ""
    for line in summary.lines():
        name = line[:14].strip() or name
        if name not in {"mass peaks", "run folder", "report"}:
            yield line[:14].strip(), line[15:]


def _peaks(summary: Summary) -> Iterator[str]:
    if summary.naming is None or not summary.naming.peaks:
        yield f"<p>{html.escape(summary.no_peaks or 'No peak stands out.')}</p>"
        return
    yield "<h2>Peaks</h2>"
    rows = (
        (
            peak.label if peak.candidates else "not named",
            f"{peak.mass_to_charge_da:.3f}",
            f"{peak.counts:,.0f}",
            f"{peak.resolving_power:.0f}",
        )
        for peak in summary.naming.peaks
    )
    yield from _table(("ion", "m/q, Da", "counts", "m/dm at half height"), rows)


def _story(info: Any) -> Iterator[str]:
    if info.notes:
        yield "<h2>Notes</h2>"
        yield from _table(
            ("time", "pulse", "note"), ((_time(one.t_utc), one.pulse, one.text) for one in info.notes)
        )
    yield "<h2>Segments</h2>"
    yield from _table(
        ("", "first pulse", "begun", "why"),
        ((one.number, f"{one.first_pulse:,d}", _time(one.t_utc), one.reason) for one in info.segments),
    )
    yield "</main></body></html>"


def _table(columns: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield "<table>"
    if columns:
        yield "<tr>" + "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns) + "</tr>"
    for first, *others in rows:
        cells = "".join(f"<td>{html.escape(str(one))}</td>" for one in others)
        yield f'<tr><th scope="row">{html.escape(str(first))}</th>{cells}</tr>'
    yield "</table>"


def _time(t_utc_us: int) -> str:
    return datetime.fromtimestamp(t_utc_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
