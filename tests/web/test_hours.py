"""A page that stays open: as many frames as hours bring, fed at speed; its memory must not grow."""

import os

import pytest
from playwright.sync_api import Browser

from support.browser import Watched, open_page
from support.web_rig import WebRig

pytestmark = pytest.mark.timeout(3000)
HOURS = float(os.environ.get("EVAPD_PAGE_HOURS", "0.05"))
FRAMES_PER_HOUR = 5 * 3600
ROUNDS = 10
_FEED = """async (frames) => {
  const { store } = await import('/static/js/main.js');
  const text = JSON.stringify(store.live);
  for (let i = 0; i < frames; i += 1) {
    const live = JSON.parse(text);
    live.hits += i;
    store.take('live', live);
    if (i % 50 === 0) {
      store.take('event', { seq: Math.random(), instance: 'x', severity: 'info', kind: 'test', what: `event ${i}`, t_utc: 1e3 * Date.now() });
      await new Promise((done) => setTimeout(done, 0));
    }
  }
}"""


def heap_mb(watched: Watched) -> float:
    """The page's memory after a collection."""
    session = watched.page.context.new_cdp_session(watched.page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return used / 1e6


def test_the_pages_memory_does_not_grow_with_the_hours(browser: Browser, rig: WebRig) -> None:
    watched = open_page(browser, rig.url)
    watched.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
    heaps, nodes = [], []
    for _ in range(ROUNDS):
        watched.page.evaluate(_FEED, round(HOURS * FRAMES_PER_HOUR / ROUNDS))
        heaps.append(heap_mb(watched))
        nodes.append(watched.page.evaluate("document.querySelectorAll('*').length"))
    print(
        f"{HOURS:g} h of frames: heap {', '.join(f'{one:.1f}' for one in heaps)} MB; elements {nodes[0]} to {nodes[-1]}"
    )
    watched.page.close()
    # Histories and points fill their bounds in the first rounds; after half of the time nothing may grow.
    assert max(heaps[ROUNDS // 2 :]) < 1.25 * heaps[ROUNDS // 2 - 1] + 5.0
    assert nodes[-1] < 1.2 * nodes[ROUNDS // 2] + 50
