"""The page when something goes: abort, the daemon, the display's server, a viewer who may not operate."""

import signal
from typing import NoReturn

import pytest
from playwright.sync_api import Browser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.browser import open_page
from support.wait import wait_for
from support.web_rig import web_rig

pytestmark = pytest.mark.timeout(400)
RUNNING = "document.querySelector('#chip-run dd').textContent.includes('unning')"
STALE = "document.body.classList.contains('stale')"


def test_abort_brings_the_supply_down_in_the_twin(browser: Browser) -> None:
    with web_rig() as rig:
        rig.start_run()
        rig.await_energy("evaporating", timeout_s=120.0)
        watched = open_page(browser, rig.url)
        watched.until(RUNNING)
        watched.page.locator("#abort").click()
        watched.until("document.querySelector('#abort').textContent === 'ABORTED'")
        wait_for(
            lambda: rig.twin.plant.specimen.demand_v == 0.0 and not rig.twin.plant.trigger.running,
            "the way down",
            30.0,
        )
        wait_for(lambda: rig.twin.plant.specimen.v_v < 50.0, "discharge", 60.0)
        watched.shot("aborted")
        assert watched.complaints == []
        watched.page.close()


def test_who_may_only_look_sees_the_controls_and_cannot_use_them_but_aborts(browser: Browser) -> None:
    with web_rig({"web": {"local_role": "read"}}) as rig:
        rig.start_run()
        rig.await_energy("evaporating", timeout_s=120.0)
        watched = open_page(browser, rig.url)
        watched.until(RUNNING)
        watched.until("document.querySelector('#controls').textContent.includes('may look and abort')")
        for name in ("Stop run", "Pause", "Hold", "Acknowledge"):
            assert (
                watched.page.locator("#controls").get_by_role("button", name=name, exact=True).is_disabled()
            )
        assert watched.page.locator("#note-text").is_disabled()
        assert watched.page.locator("#set-v_ceiling_v").is_disabled()
        answer = watched.page.evaluate(
            """async () => (await fetch('/api/command', {method: 'POST', headers: {'Content-Type': 'application/json'},
            body: JSON.stringify({cmd: 'stop', args: {}})})).status"""
        )
        assert answer == 403
        assert rig.ask("status")["run_state"] == "running"
        watched.page.locator("#abort").click()
        wait_for(lambda: rig.twin.plant.specimen.demand_v == 0.0, "the way down", 30.0)
        watched.page.close()


@pytest.mark.parametrize("which", ["acquire", "web"])
def test_a_loss_is_unmistakable_and_the_page_comes_back_by_itself(browser: Browser, which: str) -> None:
    with web_rig() as rig:
        watched = open_page(browser, rig.url)
        watched.until(f"document.querySelector('#chip-run dd').textContent.includes('dle') && !({STALE})")
        rig.kill(which, signal.SIGKILL)
        rig.reap(which)
        watched.until(STALE)
        words = "NO CONNECTION" if which == "web" else "THE DAEMON IS SILENT"
        watched.until(f"document.querySelector('#strip').textContent.includes('{words}')")
        assert watched.page.locator("#controls").get_by_role("button", name="Start run").is_disabled()
        watched.shot(f"lost-{which}")
        rig.spawn(which)
        watched.until(f"!({STALE})", 120.0)
        watched.until("document.querySelector('#chip-run dd').textContent.includes('dle')")
        watched.page.close()


def shout_for_ever(viewer: ClientConnection) -> NoReturn:
    while True:
        viewer.send(b"\xff" * 1000)


def test_a_stalled_or_shouting_viewer_harms_nobody(browser: Browser) -> None:
    with web_rig() as rig:
        watched = open_page(browser, rig.url)
        watched.until("document.querySelector('#chip-run dd').textContent.includes('dle')")
        address = rig.url.replace("http:", "ws:") + "/ws"
        with (
            connect(address, max_size=None, open_timeout=20) as stalled,
            connect(address, max_size=None, open_timeout=20) as shouting,
        ):
            stalled.recv(timeout=20)  # and nothing more
            with pytest.raises(ConnectionClosed):  # the server hangs up on whoever says much
                shout_for_ever(shouting)
            before = watched.page.evaluate("performance.now()")
            watched.until(f"performance.now() > {before} + 5000 && !({STALE})")
        assert watched.complaints == []
        watched.page.close()


def test_the_page_of_a_rig_at_rest_offers_a_start_that_asks_first(browser: Browser) -> None:
    with web_rig() as rig:
        watched = open_page(browser, rig.url)
        watched.until(
            "!Array.from(document.querySelectorAll('#controls button')).find((one) => one.textContent === 'Start run').disabled"
        )
        watched.shot("idle")
        start = watched.page.get_by_role("button", name="Start run")
        start.click()
        watched.page.keyboard.press("Escape")
        assert rig.ask("status")["run_state"] == "idle"
        start.click()
        watched.page.get_by_role("button", name="Start: raise the voltage").click()
        rig.await_run("running")
        watched.page.close()


def test_a_finished_run_is_listed_with_a_report_that_needs_nothing_else(browser: Browser) -> None:
    with web_rig({"end": {"time_s": 8}}) as rig:
        rig.start_run()
        run_id = rig.ask("status")["run"]["id"]
        rig.await_run("idle", 120.0)
        watched = open_page(browser, rig.url)
        watched.until("document.querySelector('#runs a')")
        assert run_id in watched.text("#runs")
        report = open_page(browser, f"{rig.url}/runs/{run_id}/report")
        assert run_id in report.text("h1")
        report.until("document.querySelector('img').naturalWidth > 1000")
        report.shot("report")
        assert report.foreign == []
        png = report.page.request.get(f"{rig.url}/runs/{run_id}/report.png")
        assert png.body().startswith(b"\x89PNG")
        report.page.close()
        watched.page.close()
