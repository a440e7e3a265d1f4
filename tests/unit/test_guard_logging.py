import io
import logging
import os

import pytest

from evapd.logging import LineFormatter, OnChange, setup, under_journald


def record(text, level=logging.ERROR, exc_info=None):
    return logging.LogRecord("evapd.x", level, "f", 1, text, (), exc_info)


def test_under_the_journal_a_line_begins_with_its_priority():
    assert LineFormatter("guard", journal=True).format(record("gone")) == "<3>evapd.x: gone"


def test_elsewhere_a_line_carries_utc_time_process_and_level():
    line = LineFormatter("guard", journal=False).format(record("gone"))
    assert line.endswith("Z guard error evapd.x: gone")


def test_text_of_several_lines_and_a_traceback_become_one_line():
    try:
        int("why")
    except ValueError as error:
        line = LineFormatter("guard", journal=True).format(
            record("a\n b", exc_info=(type(error), error, error.__traceback__))
        )
    assert "\n" not in line
    assert line.startswith("<3>evapd.x: a | b | Traceback")
    assert line.endswith("'why'")


def test_an_error_is_logged_once_until_it_changes(caplog):
    gate = OnChange(logging.getLogger("evapd.test"))
    assert [gate.error("d", "lost"), gate.error("d", "lost"), gate.error("d", "refused")] == [
        True,
        False,
        True,
    ]
    with caplog.at_level(logging.INFO):
        assert gate.over("d", "back")
        assert not gate.over("d", "back")
    assert [r.getMessage() for r in caplog.records] == ["lost", "refused", "back"]


def test_everything_said_before_the_stop_is_written():
    stream = io.StringIO()
    stop = setup("guard", stream=stream)
    logging.getLogger("evapd.test").warning("one %d", 1)
    stop()
    assert stream.getvalue().endswith("guard warning evapd.test: one 1\n")


@pytest.mark.parametrize("match", [True, False])
def test_the_journal_is_known_by_the_device_and_inode_of_the_stream(tmp_path, match):
    with (tmp_path / "out").open("w") as stream:
        status = os.fstat(stream.fileno())
        named = f"{status.st_dev}:{status.st_ino}" if match else "1:2"
        assert under_journald(stream, {"JOURNAL_STREAM": named}) is match
