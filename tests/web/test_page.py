"""The page of a running twin, in a real browser."""

import re

import pytest
from playwright.sync_api import Browser

from evapd.client import Client
from support.browser import Watched, open_page
from support.wait import wait_for
from support.web_rig import WebRig

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first


def hits_shown(page: Watched) -> int:
    return int(re.sub(r"\D", "", page.text("#fig-hits")) or 0)


def test_counts_rise_and_agree_with_the_daemon(page: Watched, rig: WebRig) -> None:
    before = hits_shown(page)
    page.until(
        f"Number(document.querySelector('#fig-hits').textContent.replace(/\\D/g, '')) > {before + 500}"
    )
    low = rig.ask("status")["hits"]
    wait_for(lambda: hits_shown(page) >= low, "the page's count", 20.0)
    assert hits_shown(page) <= rig.ask("status")["hits"]


def test_peaks_stand_where_the_specimens_elements_are(page: Watched) -> None:
    page.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
    page.until("document.querySelector('#spectrum .plot').layout.annotations?.length >= 2")
    found = page.page.evaluate(
        """() => document.querySelector('#spectrum .plot').layout.annotations.map((one) => [one.x, one.text])"""
    )
    assert any(abs(x - 26.98) < 0.15 and "Al" in text for x, text in found)
    assert any(abs(x - 27.97) < 0.15 and "Fe" in text for x, text in found)


def test_the_map_shows_as_many_hits_as_it_says(page: Watched) -> None:
    page.until("document.querySelector('#map canvas').width >= 64")
    lit = page.page.evaluate(
        """() => { const c = document.querySelector('#map canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i] + d[i + 1] + d[i + 2] > 0) n += 1; return n; }"""
    )
    assert lit > 200


def test_histories_begin_with_the_run_also_on_a_page_that_came_late(page: Watched, rig: WebRig) -> None:
    page.until(
        "document.querySelector('#histories .plot').data?.[0]?.y?.filter((v) => v !== null).length > 30"
    )
    begun, first = page.page.evaluate(
        """() => { const t = document.querySelector('#histories .plot').data[0].x; return [Date.now(), +new Date(t[0])]; }"""
    )
    run = rig.ask("status")["run"]
    assert first < begun - 1000 * (run["elapsed_s"] - 5.0)


def test_margins_time_sums_and_multiplicity_are_shown(page: Watched) -> None:
    page.until("document.querySelectorAll('#margins .meter').length > 10")
    page.until("document.querySelectorAll('#multiplicity .meter').length === 8")
    page.until("document.querySelectorAll('#timesums tbody tr').length === 2")
    page.shot("running")


def test_points_are_drawn_when_asked_for_and_say_that_they_are_a_preview(page: Watched) -> None:
    assert "PREVIEW" in page.text("#points .preview")
    page.page.get_by_role("button", name="Show points").click()
    page.until("document.querySelector('#points .plot').data?.some((one) => one.x.length > 50)", 60.0)
    page.page.get_by_role("button", name="Hide points").click()
    page.until("document.querySelector('#points .plot').hidden")
    gone = "document.querySelector('#points .plot').data === undefined"
    page.until(gone)
    page.page.wait_for_timeout(2500)  # no drawing that was under way or waited brings them back
    assert page.page.evaluate(gone)


def test_a_note_goes_into_the_run(page: Watched, rig: WebRig) -> None:
    page.page.get_by_label("What you see, or did").fill("<b>seen</b> from the page")
    page.page.get_by_role("button", name="Write into the run").click()
    page.until("document.querySelector('#notes .said').textContent === 'written'")
    wait_for(
        lambda: (
            "from the page"
            in (rig.loaded.layout.runs / rig.ask("status")["run"]["id"] / "run.json").read_text()
        ),
        "the note",
        20.0,
    )


def test_a_rise_of_the_target_asks_first_and_no_means_no(page: Watched, rig: WebRig) -> None:
    target = rig.ask_guard("status")["target_rate"]
    page.page.locator("#set-target_rate").fill(str(100 * target * 1.2))
    page.page.locator("#set-target_rate").press("Enter")
    page.page.get_by_role("button", name="No, leave it").click()
    assert rig.ask_guard("status")["target_rate"] == target


def test_a_fall_of_the_target_is_carried_out(page: Watched, rig: WebRig) -> None:
    target = rig.ask_guard("status")["target_rate"]
    page.page.locator("#set-target_rate").fill(str(100 * target * 0.9))
    page.page.locator("#set-target_rate").press("Enter")
    wait_for(
        lambda: abs(rig.ask_guard("status")["target_rate"] - 0.9 * target) < 1e-9, "the new target", 20.0
    )


def test_the_page_is_painted_before_plotly_is_asked_for(browser: Browser, rig: WebRig) -> None:
    watched = open_page(browser, rig.url)
    painted_ms = watched.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print(f"first paint after {painted_ms:.0f} ms")
    watched.until("document.querySelector('#chip-run dd').textContent.includes('unning')")
    watched.until(
        "performance.getEntriesByType('resource').some((one) => one.name.endsWith('plotly.min.js'))"
    )
    asked_ms = watched.page.evaluate(
        "performance.getEntriesByType('resource').find((one) => one.name.endsWith('plotly.min.js')).startTime"
    )
    assert painted_ms < asked_ms
    watched.page.close()


def test_the_keyboard_reaches_abort_first_and_every_control(page: Watched) -> None:
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.id") == "abort"
    reached = set()
    for _ in range(80):
        page.page.keyboard.press("Tab")
        reached.add(page.page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"Stop run", "Pause", "set-target_rate", "note-text"} <= reached


def test_a_phone_shows_it_in_one_column(browser: Browser, rig: WebRig) -> None:
    phone = open_page(browser, rig.url, viewport={"width": 390, "height": 844})
    phone.until("document.querySelector('#chip-run dd').textContent.includes('unning')")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.page.locator("#abort").is_visible()
    phone.shot("phone")
    phone.page.close()


def test_dark_and_light_follow_the_reader(browser: Browser, rig: WebRig) -> None:
    backs = set()
    for scheme in ("dark", "light"):
        watched = open_page(browser, rig.url, color_scheme=scheme)
        backs.add(watched.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        watched.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
        watched.shot(f"running-{scheme}")
        watched.page.close()
    assert len(backs) == 2


def test_the_viewers_command_stands_in_the_record(page: Watched, rig: WebRig) -> None:
    with Client(
        rig.loaded.rig.sockets.control, rig.loaded.rig.sockets.stream, rig.loaded.rig.sockets.replay
    ) as client:
        with client.messages(("event.",), timeout_s=20.0) as events:
            page.page.get_by_role("button", name="Hold").click()
            for message in events:
                if message.document["kind"] == "command":
                    break
        assert "display local" in str(message.document)


def test_a_value_beyond_the_rigs_limits_is_not_even_asked_for(page: Watched, rig: WebRig) -> None:
    page.until("document.querySelector('#set-target_rate')?.max")
    target = rig.ask_guard("status")["target_rate"]
    page.page.locator("#set-target_rate").fill("99")
    page.page.locator("#set-target_rate").press("Enter")
    assert not page.page.locator("#confirm").is_visible()
    assert page.page.evaluate("document.querySelector('#set-target_rate').validity.rangeOverflow")
    assert rig.ask_guard("status")["target_rate"] == target
