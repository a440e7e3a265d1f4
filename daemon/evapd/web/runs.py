"""Finished runs: their list, and the report of each as a picture and as one file that needs nothing else.

A report is drawn by a child process of low priority, one at a time, and kept in the rig's cache: drawing a run of 10^8 hits must
neither hold up the page nor leave its memory here.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from evapd.errors import RecordError
from evapd.report.tables import run_rows
from evapd.web.access import Access, Refusal, viewer_of
from evapd.web.headers import REPORT_POLICY

REPORT_S = 300.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_KEPT_REPORTS = 100
_TOLD_BYTES = 500


@dataclass(frozen=True, slots=True)
class Reports:
    """Draws reports and keeps them.

    Args:
        runs: Folder of the run folders.
        cache: Where drawn reports are kept.
    """

    runs: Path
    cache: Path
    drawing: asyncio.Lock

    def finished(self, run_id: str) -> Path | None:
        """Give the `.nxs` of a run; None when there is no such run, or it is not finalised."""
        if _ID.fullmatch(run_id) is None:
            return None
        path = self.runs / run_id / f"{run_id}.nxs"
        return path if path.is_file() else None

    async def report(self, run_id: str, suffix: str) -> Path:
        """Give the report of a run, drawn anew when the run is newer.

        Raises:
            RecordError: when there is no finalised run of that name, or it cannot be drawn.
        """
        source = self.finished(run_id)
        if source is None:
            raise RecordError(f"no finished run is called {run_id!r}")
        target = self.cache / f"{run_id}{suffix}"
        async with self.drawing:
            if not target.is_file() or target.stat().st_mtime_ns < source.stat().st_mtime_ns:
                self.cache.mkdir(parents=True, exist_ok=True)
                await _draw(source, target)
                self._forget_oldest()
        return target

    def _forget_oldest(self) -> None:
        kept = sorted(self.cache.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in kept[_KEPT_REPORTS:]:
            path.unlink(missing_ok=True)


async def _draw(source: Path, target: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *("nice", "-n", "15", sys.executable, "-m", "evapd", "plot", str(source), "-o", str(target)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await asyncio.wait_for(child.communicate(), REPORT_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        raise RecordError(
            f"drawing took more than {REPORT_S:.0f} s: try evapd plot {source.parent}"
        ) from None
    if child.returncode:
        raise RecordError(said.decode(errors="replace").strip()[-_TOLD_BYTES:] or "it could not be drawn")


def run_routes(runs: Path, cache: Path, access: Access) -> Iterator[Route]:
    """Give the routes of finished runs below the folder `runs`."""
    reports = Reports(runs, cache, asyncio.Lock())

    async def listed(request: Request) -> Response:
        viewer = viewer_of(request, access)
        if isinstance(viewer, Refusal):
            return _sorry(viewer.why, viewer.status)
        rows = await anyio.to_thread.run_sync(run_rows, runs)
        told = [row | {"report": reports.finished(row["id"]) is not None} for row in rows]
        return JSONResponse({"runs": told}, headers={"Cache-Control": "no-store"})

    async def drawn(request: Request) -> Response:
        viewer = viewer_of(request, access)
        if isinstance(viewer, Refusal):
            return _sorry(viewer.why, viewer.status)
        run_id = request.path_params["run_id"]
        suffix = ".png" if request.url.path.endswith(".png") else ".html"
        try:
            path = await reports.report(run_id, suffix)
        except RecordError as error:
            return _sorry(str(error), 404)
        headers = {"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-cache"}
        download = "download" in request.query_params
        return FileResponse(
            path,
            headers=headers,
            filename=path.name,
            content_disposition_type="attachment" if download else "inline",
        )

    yield Route("/api/runs", listed)
    yield Route("/runs/{run_id}/report", drawn)
    yield Route("/runs/{run_id}/report.png", drawn)


def _sorry(why: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": {"kind": "", "message": why}}, status)
