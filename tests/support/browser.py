"""A real browser for tests: Debian's Chromium, headless, told to talk to nobody but this machine."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = os.environ.get("EVAPD_CHROMIUM", "/usr/bin/chromium")
ARTEFACTS = Path(os.environ.get("EVAPD_SCREENSHOTS", "test-artefacts"))
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-precise-memory-info",
)  # fmt: skip
LOADING_S = 60.0
AXE = Path(os.environ.get("EVAPD_AXE", ".venv/axe/node_modules/axe-core/axe.min.js"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser and end it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, with what it said and whom it asked."""

    page: Page
    complaints: list[str] = field(default_factory=list)  # console errors and exceptions
    foreign: list[str] = field(default_factory=list)  # requests to anybody but the display's server

    def shot(self, name: str, *, whole: bool = True) -> Path:
        """Keep a picture among the artefacts."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole)
        return path

    def text(self, selector: str) -> str:
        """The text of one element."""
        return self.page.locator(selector).inner_text()

    def until(self, expression: str, timeout_s: float = LOADING_S) -> None:
        """Wait until a JavaScript expression holds; asked from outside, because the page itself lets no text become code."""
        deadline_s = time.monotonic() + timeout_s
        while not self.page.evaluate(f"() => Boolean({expression})"):
            if time.monotonic() > deadline_s:
                picture = self.shot("failed")
                raise AssertionError(
                    f"waited {timeout_s:g} s in vain for {expression}; see {picture}; it said {self.complaints}"
                )
            self.page.wait_for_timeout(100)


def open_page(browser: Browser, url: str, **options: object) -> Watched:
    """Open the page of a server and watch it."""
    page = browser.new_page(**({"viewport": {"width": 1400, "height": 1000}} | options))  # type: ignore[arg-type]
    watched = Watched(page)

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            watched.complaints.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith((url, url.replace("http:", "ws:"), "blob:", "data:")):
            watched.foreign.append(request.url)

    page.on("console", heard)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("request", asked)
    page.on(
        "websocket",
        lambda socket: (
            None if socket.url.startswith(url.replace("http:", "ws:")) else watched.foreign.append(socket.url)
        ),
    )
    page.goto(url, wait_until="load", timeout=1000.0 * LOADING_S)
    return watched


def violations(watched: Watched) -> list[str]:
    """What axe-core finds wrong with the page as it is now."""
    watched.page.evaluate(AXE.read_text())  # from outside: the page's own policy lets no foreign script in
    found = watched.page.evaluate(
        "async () => (await axe.run(document, {exclude: [['.js-plotly-plot']]})).violations"
    )
    return [
        f"{one['id']}: {one['help']} ({', '.join(str(node['target']) for node in one['nodes'][:3])})"
        for one in found
    ]
