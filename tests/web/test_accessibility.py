"""The page judged by axe-core (tests only; `make test-web` fetches it from npm)."""

import pytest
from playwright.sync_api import Browser

from support.browser import open_page, violations
from support.web_rig import WebRig

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser: Browser, rig: WebRig, scheme: str) -> None:
    watched = open_page(browser, rig.url, color_scheme=scheme)
    watched.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
    watched.until("document.querySelectorAll('#margins .meter').length > 10")
    told = violations(watched)
    watched.page.close()
    assert told == []
