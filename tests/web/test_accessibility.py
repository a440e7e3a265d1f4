"""The page judged by axe-core (tests only; `make test-web` fetches it from npm)."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.browser import open_page
from support.web_rig import WebRig

AXE = Path(os.environ.get("EVAPD_AXE", ".venv/axe/node_modules/axe-core/axe.min.js"))

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser: Browser, rig: WebRig, scheme: str) -> None:
    watched = open_page(browser, rig.url, color_scheme=scheme)
    watched.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
    watched.until("document.querySelectorAll('#margins .meter').length > 10")
    watched.page.evaluate(AXE.read_text())  # from outside: the page's own policy lets no foreign script in
    found = watched.page.evaluate(
        "async () => (await axe.run(document, {exclude: [['.js-plotly-plot']]})).violations"
    )
    watched.page.close()
    told = [
        f"{one['id']}: {one['help']} ({', '.join(str(node['target']) for node in one['nodes'][:3])})"
        for one in found
    ]
    assert told == []
