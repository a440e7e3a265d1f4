"""What is missing from a run, by kind; a kind without a loss is stated as 0."""

from collections.abc import Mapping
from typing import Any

from evapd.record.runinfo import RunInfo
from evapd.stream.frame import HITS, LOOP, SLOW, WORDS

# Events are numbered by both processes and recorded by each for its own: their gaps say nothing.
_NUMBERED = (HITS, WORDS, LOOP, SLOW)
_COUNTERS = {
    "blocks_words_lost": "lost_blocks",
    "blocks_saturated": "saturated_blocks",
    "pulse_counter_jumps": "counter_jumps",
    "queue_overflows": "queue_overflows",
    "journal_frames_lost": "journal_lost",
}
WORDING = {
    "hits": "hits counted but not in the file",
    "pulses": "pulses that no block covers",
    "blocks_flagged": "blocks flagged by the TDC or the pipeline",
    "blocks_words_lost": "blocks whose words were lost",
    "blocks_saturated": "blocks while the TDC was full",
    "pulse_counter_jumps": "jumps of the pulse counter",
    "queue_overflows": "overflows of the readout's queue",
    "journal_frames_lost": "frames the journal could not take",
    "journal_frames_missing": "frames missing by their numbers",
    "journal_bytes_damaged": "bytes of the journal torn or damaged",
    "journal_segments_missing": "segments of the journal missing",
    "frames_undecodable": "frames that could not be read",
    "hits_without_voltage": "hits without a known voltage",
}


def losses_of(info: RunInfo, recorded: Mapping[str, Any], hits: int) -> dict[str, int]:
    """Count what is missing.

    Args:
        info: the run, with its counters; a run closed by recovery may have none.
        recorded: what finalising found, as `RunFile.losses()` gives it.
        hits: in the file.
    """
    counters = info.counters
    journals = [recorded.get(name) or {} for name in ("journal_acquire", "journal_guard")]
    found = {
        "hits": max(0, int(counters.get("hits", hits)) - hits),
        "pulses": int(recorded.get("uncovered_pulses", 0)),
        "blocks_flagged": int(recorded.get("lossy_blocks", 0)),
        **{kind: int(counters.get(name, 0)) for kind, name in _COUNTERS.items()},
        "journal_frames_missing": sum(
            count
            for journal in journals
            for topic, count in (journal.get("gaps") or {}).items()
            if topic in _NUMBERED
        ),
        "journal_bytes_damaged": _sum(journals, "torn_bytes", "damaged_bytes"),
        "journal_segments_missing": _sum(journals, "missing_segments"),
        "frames_undecodable": _sum(journals, "undecodable") + int(recorded.get("undecodable_hit_frames", 0)),
        "hits_without_voltage": int(recorded.get("hits_without_voltage", 0)),
    }
    return {kind: found[kind] for kind in WORDING}


def _sum(journals: list[Mapping[str, Any]], *names: str) -> int:
    return sum(int(journal.get(name, 0)) for journal in journals for name in names)


def losses_text(losses: Mapping[str, int]) -> str:
    """Say what is missing in one line."""
    lost = [f"{count:,d} {WORDING[kind]}" for kind, count in losses.items() if count]
    if not lost:
        return f"0 of every kind ({len(losses)} kinds counted: hits, pulses, words, queue, journal, voltages)"
    return ", ".join(lost) + f"; 0 of the {len(losses) - len(lost)} other kinds"
