"""Finished runs: their list, and the report of each as a picture and as one file that needs nothing else."""

from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from evapd.report.tables import run_rows
from evapd.web.access import Access, Refusal, viewer_of


def run_routes(runs: Path, access: Access) -> Iterator[Route]:
    """Give the routes of finished runs below the folder `runs`."""

    async def listed(request: Request) -> Response:
        viewer = viewer_of(request, access)
        if isinstance(viewer, Refusal):
            return JSONResponse({"error": {"message": viewer.why}}, viewer.status)
        rows = await anyio.to_thread.run_sync(run_rows, runs)
        return JSONResponse({"runs": rows}, headers={"Cache-Control": "no-store"})

    yield Route("/api/runs", listed)
