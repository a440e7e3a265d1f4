"""Bytes of devices written into the journal, switched at run time; by the guard's own process."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.device.trace import KEPT_PIECES
from evapd.device.tracing import KIND, LONGEST_S, Traces, lines
from evapd.errors import RequestError, StateError
from evapd.record.journal import read_journal
from evapd.rpc import Requester
from support.daemon import daemon
from support.wait import wait_for


def kept(*pieces):
    traces = Traces(["supply"], clock=lambda: 12.5)
    traces.switch("supply", on=True)
    for direction, data in pieces:
        traces.of("supply")(direction, data)
    return traces


def test_what_is_taken_is_an_event_of_json_and_is_not_given_again():
    traces = kept(("write", b"*IDN?\n"), ("read", b"\xff\x00"))
    ((what, details),) = traces.take()
    assert what == "supply: 2 pieces"
    assert list(lines(json.loads(json.dumps(details)))) == [
        r"supply 12.500000 > b'*IDN?\n'",
        r"supply 12.500000 < b'\xff\x00'",
    ]
    assert list(traces.take()) == []


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_every_byte_comes_back_from_json(written):
    ((_, details),) = kept(("write", b""), *(("read", data) for data in written)).take()
    told = [piece[2].encode("latin-1") for piece in json.loads(json.dumps(details))["pieces"]]
    assert told == [b"", *written]


def test_pieces_that_did_not_fit_are_counted():
    ((what, details),) = kept(*[("read", b"x")] * (KEPT_PIECES + 7)).take()
    assert details["dropped"] == 7
    assert "7 older pieces did not fit" in what


def test_a_device_that_is_not_here_is_told_with_those_that_are():
    with pytest.raises(StateError, match="there are supply"):
        Traces(["supply"]).switch("pump", on=True)


def test_off_nothing_is_kept():
    traces = kept(("write", b"a"))
    assert traces.switch("supply", on=False) == []
    list(traces.take())
    traces.of("supply")("write", b"b")
    assert list(traces.take()) == []


def test_a_trace_that_was_forgotten_ends_by_itself_and_says_so():
    now_s = [0.0]
    traces = Traces(["supply"], clock=lambda: now_s[0])
    traces.switch("supply", on=True)
    now_s[0] = LONGEST_S - 1.0
    assert list(traces.take()) == []
    assert traces.on == ["supply"]
    now_s[0] = LONGEST_S
    ((what, _),) = traces.take()
    assert "ended after 10 min" in what
    assert traces.on == []
    assert list(traces.take()) == []


def test_the_guard_writes_the_bytes_of_a_device_into_its_journal_while_it_is_asked_to():
    with daemon(start=False) as rig:
        rig.loaded.layout.make()
        rig.twin.start()
        rig.spawn("guard")
        wait_for(rig.guard_status, f"the guard's answer\n{rig.logs()}", 30.0)

        def traced():
            frames = read_journal(rig.loaded.layout.guard_journal, "guard")
            return [one.document for one in frames if one.topic == "event." and one.document["kind"] == KIND]

        with Requester(rig.loaded.layout.guard_ipc, 20.0) as guard:
            assert guard.request("trace", {"device": "vacuum"})["traced"] == ["vacuum"]
            wait_for(traced, f"bytes in the journal\n{rig.logs()}", 30.0)
            assert guard.request("trace", {"device": "vacuum", "on": False})["traced"] == []
            with pytest.raises(RequestError, match="no device 'pump'"):
                guard.request("trace", {"device": "pump"})
        said = "".join(piece[2] for event in traced() for piece in event["pieces"])
        assert "PR1\r" in said
        assert "\x06" in said  # ACK
        assert {event["device"] for event in traced()} == {"vacuum"}
