import io
import json
import logging
import os
import queue
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd import logtext
from evapd.logging import JsonFormatter, LineFormatter, _Enqueue, form_of, present_run, setup
from evapd.repeats import EVERY_S, Repeats

FORMS = [JsonFormatter("guard", journal=False), LineFormatter("guard", journal=False)]


def record(text, *args, level=logging.WARNING, **fields):
    made = logging.LogRecord("evapd.x", level, "f", 1, text, args, None)
    vars(made).update(fields)
    return made


def as_json(one, *, journal=False):
    line = JsonFormatter("guard", journal=journal).format(one)
    return json.loads(line[3:] if journal else line)


def test_a_line_of_json_names_time_level_process_logger_and_message():
    content = as_json(record("gone %d", 3))
    assert content["time"].endswith("Z")
    del content["time"], content["pid"]
    assert content == {"level": "warning", "process": "guard", "logger": "evapd.x", "message": "gone 3"}


def test_under_the_journal_the_level_stands_before_the_object():
    line = JsonFormatter("guard", journal=True).format(record("gone", level=logging.ERROR))
    assert line.startswith("<3>{")


def test_the_run_is_named_while_there_is_one():
    present_run("2026-x")
    try:
        assert as_json(record("a"))["run"] == "2026-x"
    finally:
        present_run("")
    assert "run" not in as_json(record("a"))


def test_further_fields_are_kept_and_what_is_no_json_becomes_text():
    content = as_json(record("a", pulse=7, odd=float("nan"), thing=object))
    assert content["pulse"] == 7
    assert content["odd"] == "nan"
    assert content["thing"] == "<class 'object'>"


def test_an_exception_is_a_field_with_its_lines():
    try:
        int("why")
    except ValueError as error:
        made = record("a")
        made.exc_info = (type(error), error, error.__traceback__)
    assert as_json(made)["exception"].splitlines()[-1].endswith("'why'")


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(st.characters(), max_size=200))
def test_any_message_is_one_line_of_valid_utf8_that_steers_no_terminal(form, text):
    line = form.format(record(text.replace("%", "%%"), level=logging.ERROR))
    assert line.isprintable()
    line.encode()


@pytest.mark.parametrize(
    "text", ["a\x1b[2Jb", "a\nb", "a\u2028b", "\ud800", "\u202egpj.exe", "\x00", "\x9b31m"]
)
def test_what_a_json_reader_prints_steers_no_terminal_either(text):
    message = as_json(record(text))["message"]
    assert message.replace("\n", "").isprintable()


def test_a_message_of_a_megabyte_keeps_its_beginning_and_its_end():
    message = as_json(record("begin" + "x" * 1_000_000 + "end"))["message"]
    assert len(message) < 9_000
    assert message.startswith("begin")
    assert message.endswith("end")
    assert "characters left out" in message


def test_a_secret_is_not_written_wherever_it_turns_up():
    logtext.hide("s3cr3t-token")
    try:
        content = as_json(record("http://x/s3cr3t-token failed", url="https://s3cr3t-token/"))
    finally:
        logtext._secrets.clear()
    assert "s3cr3t" not in json.dumps(content)


@pytest.mark.parametrize(
    ("named", "journal", "form"), [("", True, "json"), ("", False, "text"), ("json", False, "json"), ("text", True, "text"), ("x", False, "text")]
)  # fmt: skip
def test_the_form_is_what_the_environment_names_else_what_the_reader_is(named, journal, form):
    assert form_of({"EVAPD_LOG": named}, journal=journal) == form


def test_what_repeats_itself_is_written_once_and_counted():
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    written = [one.getMessage() for _ in range(50) for one in repeats.pass_on(record("again"))]
    now[0] = EVERY_S
    assert written == ["again"]
    assert [one.getMessage() for one in repeats.due()] == ["last message repeated 49 times: again"]


def test_two_messages_that_alternate_are_counted_too():
    repeats = Repeats(lambda: 0.0)
    for number in range(100):
        repeats.pass_on(record("even" if number % 2 else "odd"))
    assert len(repeats.due(everything=True)) == 2


def test_a_flood_of_different_messages_is_bounded_and_what_was_left_out_is_told():
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    written = sum(len(repeats.pass_on(record(f"number {number}"))) for number in range(10_000))
    now[0] = 1.0
    told = repeats.pass_on(record("later"))
    assert written == 1_000
    assert "9000 log lines were left out" in told[0].getMessage()


class _Stuck(io.StringIO):
    """A terminal that does not read."""

    def __init__(self):
        super().__init__()
        self.reads = threading.Event()

    def write(self, text):
        self.reads.wait()
        return super().write(text)


def test_a_reader_that_is_stuck_holds_nobody_up_and_costs_a_bounded_memory(monkeypatch):
    monkeypatch.setattr("evapd.logging.STOP_S", 0.1)
    stream = _Stuck()
    stop = setup("guard", stream=stream, form="json")
    logger = logging.getLogger("evapd.test")
    for number in range(3_000):
        logger.warning("%d %s", number, "x" * 10_000)
    stop()
    stream.reads.set()
    for thread in threading.enumerate():
        if thread.name == "log":
            thread.join(60.0)
    assert len(stream.getvalue()) < 2_100 * 9_000


def test_a_message_that_cannot_be_made_is_still_told():
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    _Enqueue(records).emit(record("%d", "not a number"))
    assert "TypeError" in as_json(records.get_nowait())["message"]


def test_the_environment_chooses_json_for_a_process(monkeypatch):
    monkeypatch.setitem(os.environ, "EVAPD_LOG", "json")
    stream = io.StringIO()
    stop = setup("acquire", stream=stream)
    logging.getLogger("evapd.test").error("a\nb", extra={"pulse": 1})
    stop()
    content = json.loads(stream.getvalue())
    assert (content["message"], content["pulse"]) == ("a\nb", 1)
