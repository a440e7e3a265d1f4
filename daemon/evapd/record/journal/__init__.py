"""Append-only, checksummed record of frames; written before anything is published."""

from evapd.record.journal.follower import JournalFollower
from evapd.record.journal.policy import Count, Policy
from evapd.record.journal.reader import JournalReport, read_journal, read_segment
from evapd.record.journal.segments import segment_path, segments
from evapd.record.journal.writer import JournalWriter

__all__ = [
    "Count",
    "JournalFollower",
    "JournalReport",
    "JournalWriter",
    "Policy",
    "read_journal",
    "read_segment",
    "segment_path",
    "segments",
]
