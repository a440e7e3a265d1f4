"""The page on a computer that can hardly draw it: it draws less often, shows what is new, and obeys."""

import pytest

from support.browser import Watched

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first
TIMES_SLOWER = 10
BEHIND_MS = "import('/static/js/main.js').then(({store}) => Date.now() - store.live.t_utc / 1000)"


def test_a_page_that_cannot_draw_everything_shows_the_newest_and_obeys(page: Watched) -> None:
    page.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
    slow = page.page.context.new_cdp_session(page.page)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": TIMES_SLOWER})
    try:
        page.page.wait_for_timeout(20_000)  # what is queued unread grows all the time
        behind_ms = page.page.evaluate(f"() => {BEHIND_MS}")
        page.page.select_option("#map-scale", "linear")
        page.until("document.querySelector('#map-scale').value === 'linear'")
    finally:
        slow.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    print(f"{TIMES_SLOWER} times slower: {behind_ms:.0f} ms behind")
    assert behind_ms < 8_000
