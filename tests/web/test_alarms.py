"""Alarms on the page: raised in the twin, seen by a person, also while acquire is gone."""

import signal

import pytest
from playwright.sync_api import Browser

from evapd.rpc import Requester
from support.browser import open_page, violations
from support.patience import ANSWER_S
from support.wait import wait_for
from support.web_rig import WebRig, web_rig

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first
HOOKS = {"alarms": {"hooks": {"desk": {"kind": "command", "argv": ["/bin/cat"]}}}}


def listed(rig: WebRig, name: str) -> dict:
    with Requester(rig.loaded.layout.alarms_ipc, ANSWER_S) as requester:
        alarms = requester.request("list")["alarms"]
    return next((one for one in alarms if one["name"] == name), {})


def row(name: str) -> str:
    return f"[...document.querySelectorAll('#alarms li')].find((one) => one.querySelector('.what').textContent.startsWith('{name}:'))"


def test_an_alarm_of_the_twin_is_shown_and_acknowledged_from_the_page(browser: Browser) -> None:
    with web_rig(HOOKS) as rig:
        watched = open_page(browser, rig.url)
        watched.until("document.querySelector('#alarms').textContent.includes('alarm process is not there')")
        rig.spawn("alarms")
        rig.start_run()
        rig.await_energy("evaporating", timeout_s=120.0)
        rig.twin.plant.pressure_pa[1] = 1e-3
        watched.until(f"{row('vacuum')}?.textContent.includes('■ alarm')", 60.0)
        assert "since" in watched.page.evaluate(f"() => {row('vacuum')}.textContent")
        watched.shot("alarms")
        assert violations(watched) == []
        watched.page.get_by_role("button", name="I have seen it: vacuum", exact=True).click()
        watched.until(f"{row('vacuum')}?.textContent.includes('seen by local (display)')")
        assert listed(rig, "vacuum")["acknowledged_by"] == "local (display)"
        assert rig.ask_guard("status")["alarms"]  # people have seen it; the guard still holds it
        rig.kill("acquire", signal.SIGKILL)
        rig.reap("acquire")
        watched.until(f"{row('acquire-gone')} && document.body.classList.contains('stale')", 60.0)
        watched.page.get_by_role("button", name="I have seen them all").click()
        wait_for(lambda: listed(rig, "acquire-gone")["acknowledged"], "the acknowledgement", 30.0)
        watched.page.close()


def test_who_may_only_look_sees_alarms_and_cannot_acknowledge(browser: Browser) -> None:
    with web_rig(HOOKS | {"web": {"local_role": "read"}}) as rig:
        rig.spawn("alarms")
        watched = open_page(browser, rig.url)
        watched.until("document.querySelector('#alarms').textContent.includes('No alarm waits')", 60.0)
        rig.ask_guard("abort", reason="<img src=x onerror=document.title='broken'>")
        watched.until(row("abort"), 60.0)
        assert watched.page.get_by_role("button", name="I have seen it: abort", exact=True).is_disabled()
        assert watched.page.locator("#alarms img, #events img").count() == 0
        assert watched.page.title() != "broken"
        assert watched.complaints == []
        watched.page.close()
