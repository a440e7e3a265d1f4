"""Metrics of what comes in and is recorded: counts, losses, journal, stream, control socket."""

from collections.abc import Mapping
from typing import Any

from evapd.metrics.model import (
    NAN,
    Metric,
    Sample,
    Snapshot,
    by_key,
    count,
    number,
    one_of,
    status,
    stream,
    within,
)

RUN_STATES = ("idle", "arming", "running", "stopping", "finalising")
SUM_STATES = ("unknown", "ok", "drifting", "lost")
LOSSES = {"lost_blocks": "words", "saturated_blocks": "saturated", "counter_jumps": "counter_jump"}


def _run_info(snapshot: Snapshot) -> list[Sample]:
    run = within(snapshot.status, "run", "id")
    return [((str(run),), 1.0)] if run else []


def _losses(snapshot: Snapshot) -> list[Sample]:
    losses = snapshot.status.get("losses")
    return [((label,), number(within(losses, key))) for key, label in LOSSES.items()]


def _flags(snapshot: Snapshot) -> list[Sample]:
    return [((str(flag),), 1.0) for flag in within(snapshot.status, "losses", "flags") or ()]


def _hot(snapshot: Snapshot) -> list[Sample]:
    hits = number(snapshot.counts.get("map_hits"))
    return [((), number(snapshot.counts.get("hot_hits")) / hits if hits > 0 else NAN)]


def _faults(snapshot: Snapshot) -> list[Sample]:
    faults = within(snapshot.status, "journal", "faults")
    return [((), float(len(faults)) if isinstance(faults, list | tuple) else NAN)]


def _unsynced(snapshot: Snapshot) -> list[Sample]:
    journal = snapshot.status.get("journal")
    return [((), number(within(journal, "frames")) - number(within(journal, "synced_frames")))]


def _journal(name: str) -> Any:
    return status("journal", name)


def _copy(name: str) -> Any:
    return status("journal", "second_copy", name)


def _copy_whole(snapshot: Snapshot) -> list[Sample]:
    copy = within(snapshot.status, "journal", "second_copy")
    return [
        (
            (),
            NAN if not isinstance(copy, Mapping) else float(not copy.get("lost") and not copy.get("problem")),
        )
    ]


def _layers(key: str) -> Any:
    def read(snapshot: Snapshot) -> list[Sample]:
        layers = within(snapshot.status, "time_sums", "layers") or {}
        return [((str(name),), number(within(layer, key), 1e-12)) for name, layer in layers.items()]

    return read


def _requests(snapshot: Snapshot) -> list[Sample]:
    return [((command, result), float(n)) for (command, result), n in sorted(snapshot.requests.items())]


def _lease(snapshot: Snapshot) -> list[Sample]:
    if "lease" not in snapshot.status:
        return [((), NAN)]
    return [((), float(snapshot.status["lease"] is not None))]


def _lease_remaining(snapshot: Snapshot) -> list[Sample]:
    return [((), number(within(snapshot.status, "lease", "remaining_s")))]


def _finalising(snapshot: Snapshot) -> list[Sample]:
    share = snapshot.status.get("finalising")
    return [((), number(within(share, "share") if isinstance(share, Mapping) else share))]


RECORDING = (
    Metric("evapd_build_info", "gauge", "Always 1; the labels name what runs.",
           lambda s: [((s.build.get("version", ""), s.build.get("python", ""), s.build.get("instance", "")), 1.0)],
           ("version", "python", "instance"), "gone"),
    Metric("evapd_uptime_seconds", "gauge", "Time since acquire was started.", lambda s: [((), s.uptime_s)]),
    Metric("evapd_run_state", "gauge", "1 for the present state of the run.",
           one_of(RUN_STATES, lambda s: s.status.get("run_state")), ("state",)),
    Metric("evapd_run_info", "gauge", "1 while a run is under way; the label is its name.", _run_info, ("run",), "gone"),
    Metric("evapd_run_elapsed_seconds", "gauge", "Time since the run was asked for; NaN between runs.", status("run", "elapsed_s")),
    Metric("evapd_run_segment", "gauge", "Number of the present segment; NaN between runs.", status("run", "segment")),
    Metric("evapd_finalising_ratio", "gauge", "How much of a run is finalised; NaN when none is being finalised.", _finalising),
    Metric("evapd_hits_total", "counter", "Hits since arming.", status("hits")),
    Metric("evapd_hits_window_total", "counter", "Hits in the time-of-flight window since arming.", count("hits_window")),
    Metric("evapd_hits_background_total", "counter", "Hits in the background window since arming.", count("hits_background")),
    Metric("evapd_hits_early_total", "counter", "Hits before the time-of-flight window since arming.", count("hits_early")),
    Metric("evapd_words_total", "counter", "TDC words since arming.", status("words")),
    Metric("evapd_triggers_total", "counter", "Words of the busiest channel since arming.", count("triggers")),
    Metric("evapd_pulses_total", "counter", "Pulses since arming.", status("pulses")),
    Metric("evapd_live_pulses_total", "counter", "Pulses since arming that were not inhibited.", count("live_pulses")),
    Metric("evapd_hot_spot_hits_ratio", "gauge", "Share of the hits of the last second in the hottest cell of the detector.", _hot),
    Metric("evapd_lossy_blocks_total", "counter", "Blocks of the TDC since arming whose counts are a lower bound, by what happened.",
           _losses, ("kind",)),
    Metric("evapd_loss_flag", "gauge", "1 for everything that was flagged as lost since arming.", _flags, ("flag",), "zero"),
    Metric("evapd_queue_overflows_total", "counter", "Blocks that were lost because matching was too slow.",
           status("losses", "queue_overflows")),
    Metric("evapd_readout_queue_blocks", "gauge", "Blocks that wait to be matched.", count("queue_blocks")),
    Metric("evapd_time_sum_state", "gauge", "1 for the present state of the delay lines' time sums.",
           one_of(SUM_STATES, lambda s: within(s.status, "time_sums", "state")), ("state",)),
    Metric("evapd_time_sum_offset_seconds", "gauge", "How far the time sum of a layer is from where the calibration has it.",
           _layers("position_ps"), ("layer",)),
    Metric("evapd_time_sum_width_seconds", "gauge", "Width of the time sum of a layer.", _layers("width_ps"), ("layer",)),
    Metric("evapd_time_sum_fitting_ratio", "gauge", "Share of the lone pulses whose time sums fit.", status("time_sums", "fitting")),
    Metric("evapd_journal_frames_total", "counter", "Frames written to the journal of the run.", _journal("frames")),
    Metric("evapd_journal_bytes_total", "counter", "Bytes written to the journal of the run.", _journal("bytes")),
    Metric("evapd_journal_synced_frames_total", "counter", "Frames of them that survive a loss of power.", _journal("synced_frames")),
    Metric("evapd_journal_unsynced_frames", "gauge", "Frames that are written and not yet synced.", _unsynced),
    Metric("evapd_journal_sync_age_seconds", "gauge", "Time since the journal was synced last.", _journal("sync_age_s")),
    Metric("evapd_journal_queued_bytes", "gauge", "Bytes that wait to be written.", _journal("queued_bytes")),
    Metric("evapd_journal_lost_frames_total", "counter", "Frames that the journal could not take.", _journal("lost")),
    Metric("evapd_journal_faults_total", "counter", "Faults of the journal in this run.", _faults),
    Metric("evapd_journal_free_bytes", "gauge", "What may still be written to the disk of the runs.", count("free_bytes")),
    Metric("evapd_journal_doubtful_frames_total", "counter", "Frames that a sync which failed may have cost.", _journal("doubtful")),
    Metric("evapd_journal_copy_whole", "gauge", "1 while the second copy of the journal lacks nothing; NaN where there is none.", _copy_whole),
    Metric("evapd_journal_copy_frames_total", "counter", "Frames written to the second copy.", _copy("frames")),
    Metric("evapd_journal_copy_queued_bytes", "gauge", "Bytes that wait for the second copy.", _copy("queued_bytes")),
    Metric("evapd_journal_copy_lost_frames_total", "counter", "Frames that the second copy lacks.", _copy("lost")),
    Metric("evapd_stream_frames_total", "counter", "Frames published.", stream("frames")),
    Metric("evapd_stream_bytes_total", "counter", "Bytes published.", stream("nbytes")),
    Metric("evapd_stream_dropped_frames_total", "counter", "Frames that found the queue of the stream full, by topic.",
           by_key(lambda s: s.stream.get("dropped")), ("topic",)),
    Metric("evapd_stream_queued_bytes", "gauge", "Bytes that wait to be sent.", stream("queued_bytes")),
    Metric("evapd_stream_ring_bytes", "gauge", "Bytes that the replay ring holds.", stream("ring_bytes")),
    Metric("evapd_stream_subscribers", "gauge", "Subscriptions by topic.",
           by_key(lambda s: s.stream.get("subscribers")), ("topic",), "zero"),
    Metric("evapd_stream_welcomes_total", "counter", "Subscribers that were welcomed.", stream("welcomes")),
    Metric("evapd_control_requests_total", "counter", "Requests at the control socket by command and result.",
           _requests, ("command", "result")),
    Metric("evapd_control_lease_held", "gauge", "1 while somebody holds the lease of the control socket.", _lease),
    Metric("evapd_control_lease_remaining_seconds", "gauge", "How long the lease still lasts; NaN while nobody holds it.", _lease_remaining),
    Metric("evapd_metrics_renders_total", "counter", "How often these metrics were gathered.", lambda s: [((), number(s.scrape.get("renders")))]),
    Metric("evapd_metrics_render_seconds", "gauge", "How long gathering them took the last time.", lambda s: [((), number(s.scrape.get("seconds")))]),
    Metric("evapd_metrics_refused_connections_total", "counter", "Connections of this endpoint that were closed because there were too many or they were too slow.",
           lambda s: [((), number(s.scrape.get("refused")))]),
)  # fmt: skip
"""In the order of docs/metrics.md."""
