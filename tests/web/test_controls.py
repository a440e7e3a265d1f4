"""Limits, who commands, the stage and points that came before the page did, in a real browser."""

import pytest
from playwright.sync_api import Browser

from evapd.client import Client
from support.browser import Watched, open_page
from support.wait import wait_for
from support.web_rig import WebRig

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first


def ceiling_v(rig: WebRig) -> float:
    return float(rig.ask_guard("status")["settings"]["v_ceiling_v"])


def enter(page: Watched, value: str) -> None:
    page.until("document.querySelector('#set-v_ceiling_v')")
    page.page.locator("#set-v_ceiling_v").fill(value)
    page.page.locator("#set-v_ceiling_v").press("Enter")


def test_a_limit_is_lowered_at_once_and_raised_after_a_question_within_the_rigs(
    page: Watched, rig: WebRig
) -> None:
    most_v = rig.loaded.rig.control.v_max_v
    enter(page, "6500")
    wait_for(lambda: ceiling_v(rig) == 6500.0, "the lower limit", 20.0)
    assert not page.page.locator("#confirm").is_visible()
    page.until("document.querySelector('#controls').textContent.includes('now 6,500')")
    enter(page, str(most_v + 1))
    assert page.page.evaluate("document.querySelector('#set-v_ceiling_v').validity.rangeOverflow")
    enter(page, str(most_v))
    page.page.get_by_role("button", name="Raise", exact=True).click()
    wait_for(lambda: ceiling_v(rig) == most_v, "the limit of the rig", 20.0)


def test_who_commands_is_named_and_a_refusal_is_told_in_plain_words(page: Watched, rig: WebRig) -> None:
    page.until("document.querySelector('#lease').textContent.startsWith('Nobody')")
    target = rig.ask_guard("status")["target_rate"]
    with Client(rig.loaded.rig.sockets.control, name="recipe-seven") as client, client.lease():
        page.until("document.querySelector('#lease').textContent.includes('recipe-seven')")
        page.until("document.querySelector('#set-target_rate')")
        page.page.locator("#set-target_rate").fill(str(50 * target))
        page.page.locator("#set-target_rate").press("Enter")
        page.until(
            "document.querySelector('#controls .said').textContent.startsWith('Not done: recipe-seven')"
        )
        page.shot("lease")
    page.until("document.querySelector('#lease').textContent.startsWith('Nobody')")
    assert rig.ask_guard("status")["target_rate"] == target
    page.complaints[:] = [
        one for one in page.complaints if "409" not in one
    ]  # the browser's word for a refusal


def test_a_page_that_is_opened_late_has_the_points_of_before(browser: Browser, rig: WebRig) -> None:
    early = open_page(browser, rig.url)
    early.until("document.querySelector('#chip-run dd').textContent.includes('unning')")
    before = rig.ask("status")["hits"]
    wait_for(lambda: rig.ask("status")["hits"] > before + 2000, "more hits", 60.0)
    early.page.close()
    late = open_page(browser, rig.url)
    late.until("document.querySelector('#chip-run dd').textContent.includes('unning')")
    late.page.get_by_role("button", name="Show points").click()
    late.until(
        "document.querySelector('#points .plot').data?.reduce((n, one) => n + one.x.length, 0) > 1500", 60.0
    )
    assert late.complaints == []
    late.page.close()


def test_the_stage_is_shown_with_its_units(page: Watched) -> None:
    page.page.evaluate(
        """async () => { const { store } = await import('/static/js/main.js');
        const stage = { 'stage.x': { position_mm: 1.23456, moving: false, referenced: true },
                        'stage.z': { position_mm: -4, moving: true, referenced: true } };
        window.readings = new Promise((done) => {
          store.take('live', { ...store.live, stage });
          done(document.querySelector('#readings').textContent); }); }"""
    )
    told = page.page.evaluate("window.readings")
    assert "stage x1.2346 mm" in told
    assert "stage z-4.0000 mm ▲ moves" in told
    assert " Pa" in told
    assert " K" in told
