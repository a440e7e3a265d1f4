"""Live analysis put together for a rig."""

import time

from evapd.acquire.bus import Bus
from evapd.acquire.conductor import Conductor
from evapd.acquire.counts import Counter
from evapd.acquire.display import Display, histories_of
from evapd.acquire.guard_view import GuardView
from evapd.config import LoadedRig
from evapd.live.analysis import LiveAnalysis, Setup
from evapd.live.legend import from_elements, from_ranges
from evapd.live.service import LiveService
from evapd.live.tap import HitTap
from evapd.live.voltages import Voltages
from evapd.matching import Anode
from evapd.spectrometry.ranges import load_ranges
from evapd.stream.publisher import Publisher


def make_tap(loaded: LoadedRig) -> HitTap:
    """Make the queue between pipeline and analysis."""
    return HitTap(loaded.rig.live.hits_per_s, time.monotonic)


def make_analysis(loaded: LoadedRig, v_dc: Voltages, v_p: Voltages) -> LiveAnalysis:
    """Make the analysis.

    Raises:
        ConfigError: when the anode file or the range file is not valid.
    """
    rig = loaded.rig
    ranges = loaded.ranges_path
    setup = Setup(
        live=rig.live,
        instrument=rig.instrument,
        voltage_mode=rig.pulse.mode == "voltage",
        pulse_rate_hz=rig.pulse.rate_hz,
        radius_mm=Anode.load(loaded.anode_path).radius_mm,
        elements=rig.specimen.elements,
        legend=from_elements(rig.specimen.elements)
        if ranges is None
        else from_ranges(load_ranges(ranges).ranges),
    )
    return LiveAnalysis(setup, v_dc, v_p, time.monotonic)


def make_service(
    analysis: LiveAnalysis,
    conductor: Conductor,
    *,
    tap: HitTap,
    bus: Bus,
    guard: GuardView,
    counter: Counter,
    publisher: Publisher,
) -> LiveService:
    """Make what publishes the `live.` documents."""
    display = Display(conductor.status, lambda: guard.loop, lambda: counter.now)
    return LiveService(
        present=display.present,
        histories_of=histories_of,
        publish=publisher.publish_live,
        analysis=analysis,
        tap=tap,
        tell=bus.event,
    )
