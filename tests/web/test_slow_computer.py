"""The page on a computer that cannot draw all that comes: it passes over what is old and shows what is new."""

import pytest

from support.browser import Watched

pytestmark = pytest.mark.timeout(400)  # a whole rig is started first
# Five pictures a second come; a panel that takes this long for each lets half of them through.
DRAWING_MS = 400
WATCHED_MS = 20_000
SLOW_PANEL = f"""async () => {{
  const {{ store }} = await import('/static/js/main.js');
  store.on('live', () => {{
    const end = performance.now() + {DRAWING_MS};
    while (performance.now() < end);
  }});
}}"""
BEHIND_MS = "() => import('/static/js/main.js').then(({ store }) => Date.now() - store.live.t_utc / 1000)"


def test_a_page_that_cannot_draw_everything_shows_the_newest(page: Watched) -> None:
    page.page.evaluate(SLOW_PANEL)
    page.page.wait_for_timeout(WATCHED_MS)
    behind_ms = page.page.evaluate(BEHIND_MS)
    print(f"{behind_ms:.0f} ms behind")
    # Shown one after the other they would be older by half of the time watched, and ever more.
    assert behind_ms < 0.35 * WATCHED_MS
