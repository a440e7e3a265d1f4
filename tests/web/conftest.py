"""A twin under way with its display, and a browser, for all tests of the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.browser import Watched, chromium, open_page
from support.web_rig import WebRig, web_rig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a rig of their own come first: the one that the others share would take a whole core beside them."""
    items.sort(key=lambda item: "rig" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(autouse=True)
def no_page_left(browser: Browser) -> Iterator[None]:
    """A page that a failed test has left open would go on drawing beside all that follow."""
    yield
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="session")
def rig() -> Iterator[WebRig]:
    """A running twin whose specimen evaporates, with its display."""
    with web_rig() as one:
        one.start_run()
        one.await_energy("evaporating", timeout_s=120.0)
        yield one


@pytest.fixture
def page(browser: Browser, rig: WebRig) -> Iterator[Watched]:
    """The page, connected; at the end it must have complained of nothing and asked nobody else."""
    watched = open_page(browser, rig.url)
    watched.until("document.querySelector('#chip-run dd').textContent.includes('unning')")
    yield watched
    watched.page.close()
    assert watched.complaints == []
    assert watched.foreign == []
