"""What the display costs: its server with three viewers, its page in Chromium, and how far it is behind the hits."""

import threading
import time

import numpy as np
import psutil
import pytest
from websockets.sync.client import connect

from support.bench_table import Row, print_table
from support.browser import chromium, open_page
from support.web_rig import WebRig, web_rig

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]
MEASURED_S = 30.0
# When each document was made, and when it had gone to the screen: in numbers and map, and in the spectrum, which is drawn less often.
LOOK = """async () => {
  const { store } = await import('/static/js/main.js');
  window.shown = [];
  window.drawn = [];
  store.on('live', (live) => requestAnimationFrame(() => setTimeout(() => window.shown.push([live.t_utc / 1000, Date.now()]))));
  document.querySelector('#spectrum .plot').on('plotly_afterplot', () => {
    const made = store.live.t_utc / 1000;
    requestAnimationFrame(() => setTimeout(() => window.drawn.push([made, Date.now()])));
  });
}"""
BLOCK_MS = np.arange(0.5, 50.0)  # a hit falls anywhere into its block


def hit_to_picture(made_ms: np.ndarray, shown_ms: np.ndarray) -> np.ndarray:
    """How far pictures are behind the hits in ms: a block ends anywhere between one document that is shown and the next."""
    waits_ms = [
        shown - made + np.arange(0.0, gap, 4.0)
        for gap, made, shown in zip(np.diff(made_ms), made_ms[1:], shown_ms[1:], strict=True)
    ]
    return np.add.outer(np.concatenate(waits_ms), BLOCK_MS).ravel()


def cpu_share(processes: list[psutil.Process], seconds: float) -> float:
    """Part of a core that processes used together."""
    before = {one.pid: sum(one.cpu_times()[:2]) for one in processes}
    begun_s = time.monotonic()
    time.sleep(seconds)
    spent = sum(sum(one.cpu_times()[:2]) - before[one.pid] for one in processes if one.is_running())
    return spent / (time.monotonic() - begun_s)


def family(name: str) -> list[psutil.Process]:
    """Our own descendants of a name: every process of the browser."""
    return [one for one in psutil.Process().children(recursive=True) if name in one.name()]


def watch(rig: WebRig, ending: threading.Event) -> None:
    with connect(rig.url.replace("http:", "ws:") + "/ws", max_size=None) as viewer:
        while not ending.is_set():
            viewer.recv(timeout=10)


def test_what_the_display_costs() -> None:
    with web_rig() as rig, chromium() as browser:
        rig.start_run()
        rig.await_energy("evaporating", timeout_s=120.0)
        time.sleep(20.0)  # until the rate stands at its target
        server = psutil.Process(rig.processes["web"].pid)
        idle = cpu_share([server], 10.0)
        begun_s = time.monotonic()
        watched = open_page(browser, rig.url)
        painted_ms = watched.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        watched.until("document.querySelector('#spectrum .plot').data?.[0]?.x?.length > 100")
        drawn_s = time.monotonic() - begun_s
        ending = threading.Event()
        others = [threading.Thread(target=watch, args=(rig, ending)) for _ in range(2)]
        for one in others:
            one.start()
        time.sleep(5.0)
        watched.page.evaluate(LOOK)
        spent: dict[str, float] = {}
        measuring = threading.Thread(target=lambda: spent.update(server=cpu_share([server], MEASURED_S)))
        measuring.start()
        spent["page"] = cpu_share(family("chrom"), MEASURED_S)
        measuring.join()
        shown = np.array(watched.page.evaluate("window.shown")).T
        drawn = np.array(watched.page.evaluate("window.drawn")).T
        ending.set()
        for one in others:
            one.join()
        watched.page.close()
    lags = shown[1] - shown[0]
    behind, spectrum = hit_to_picture(*shown), hit_to_picture(*drawn)
    rows = [
        Row("server, no viewer", f"{100 * idle:.1f} % of a core"),
        Row("server, three viewers at 5 Hz", f"{100 * spent['server']:.1f} % of a core", "3 %"),
        Row(
            "Chromium, all its processes, without the 3-D view",
            f"{100 * spent['page']:.0f} % of a core",
            "40 %",
        ),
        Row("first paint", f"{painted_ms / 1e3:.2f} s", "1 s"),
        Row("spectrum drawn after", f"{drawn_s:.1f} s"),
        Row(
            "document made to shown, median and p99",
            f"{np.median(lags):.0f} and {np.quantile(lags, 0.99):.0f} ms of {lags.size}",
        ),
        Row(
            "hit to shown in numbers and map, median and p99",
            f"{np.median(behind):.0f} and {np.quantile(behind, 0.99):.0f} ms",
            "300 ms",
        ),
        Row(
            "hit to shown in the spectrum, median and p99",
            f"{np.median(spectrum):.0f} and {np.quantile(spectrum, 0.99):.0f} ms of {drawn.shape[1]}",
            "300 ms",
        ),
    ]
    print_table("The display", rows)
    assert lags.size
