"""Parts of the status that are put together from several places."""

import math
import time
from collections.abc import Mapping
from typing import Any

from evapd.acquire.active_run import ActiveRun
from evapd.acquire.bus import Bus
from evapd.acquire.counts import Counts
from evapd.acquire.readout import Readout


def counted(counts: Counts, loop: Mapping[str, float]) -> dict[str, Any]:
    """Give what was counted since arming, and the rate as the control loop sees it."""
    rate = loop.get("rate", math.nan)
    return {
        "hits": counts.hits,
        "pulses": counts.pulses,
        "words": counts.words,
        "rate_per_pulse": rate if math.isfinite(rate) else None,
    }


def losses(counts: Counts, readout: Readout, run: ActiveRun | None) -> dict[str, Any]:
    """Give what was lost, by kind."""
    return {
        "flags": [flag.name.lower() for flag in counts.loss if flag.name],
        "lost_blocks": counts.lost_blocks,
        "saturated_blocks": counts.saturated_blocks,
        "counter_jumps": counts.jump_blocks,
        "queue_overflows": readout.overflows,
        "journal": run.journal_lost() if run else 0,
    }


def devices(guard: Mapping[str, Any] | None, readout: Readout) -> dict[str, Any]:
    """Give every instrument: the guard's, and the TDC."""
    age_s = None if readout.last_block_s is None else time.monotonic() - readout.last_block_s
    tdc = {
        "role": "tdc",
        "state": "online" if readout.online else "unknown",
        "age_s": age_s,
        "last_error": readout.last_error,
        "reading": None,
    }
    return dict((guard or {}).get("devices", {})) | {readout.name: tdc}


def alarms(guard: Mapping[str, Any] | None, bus: Bus) -> dict[str, Any]:
    """Give the present alarms of both processes, in words and for programs."""
    told = guard or {}
    return {
        "alarms": sorted(bus.alarms.values()) + [str(alarm) for alarm in told.get("alarms", [])],
        "alarm_list": bus.alarm_list() + [{"source": "guard"} | one for one in told.get("alarm_list", [])],
    }
