"""A journal may be read while it is written: always a beginning of what was appended, never a part of a frame."""

import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.record.journal import JournalReport, JournalWriter, read_journal, segments
from evapd.record.journal.index import frame_places
from evapd.stream.frame import STATE, Framer


@given(
    fillers=st.lists(st.integers(0, 3000), min_size=20, max_size=120), segment_bytes=st.integers(500, 8000)
)
@settings(max_examples=10, deadline=None)
def test_readers_beside_a_writer_that_rolls_see_a_beginning_of_it(
    tmp_path_factory, fillers: list[int], segment_bytes: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("live")
    framer = Framer("one", lambda: 5, lambda: 6)
    writer = JournalWriter(
        folder,
        prefix="t",
        segment_bytes=segment_bytes,
        queue_bytes=1 << 24,
        reserve_bytes=0,
        on_fault=print,
        clock=lambda: 0.0,
    )

    def write() -> None:
        for number, filler in enumerate(fillers):
            writer.append(framer.document(STATE, {"i": number, "f": "x" * filler}))

    writing = threading.Thread(target=write)
    writing.start()
    seen = 0
    while seen < len(fillers):
        report = JournalReport()
        found = [message.document["i"] for message in read_journal(folder, report=report)]
        places = sum(1 for path in segments(folder) for place in frame_places(path) if place.kind == 5)
        assert found == list(range(len(found)))
        assert seen <= len(found) <= places <= len(fillers)
        assert report.damaged_bytes + report.crc_errors == 0
        seen = len(found)
    writing.join()
    writer.close()
