"""What holds for every simulated instrument, whatever it receives."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd_sim.plant import Plant
from evapd_sim.wire.registry import WIRES
from wire.wire_talk import as_bytes, transcript, wire_of

NAMES = sorted(WIRES)
FEW = settings(max_examples=40, deadline=None)


def phrases(name: str) -> list[bytes]:
    """What a client of this instrument says, whole and cut, so that random talk gets deep."""
    content = transcript(name)
    sent = [as_bytes(content, exchange["send"]) for exchange in content["exchanges"]]
    return (
        [text for text in sent if text]
        + [text[: len(text) // 2] for text in sent]
        + [b"\r", b"\n", b";", b"?"]
    )


def talk(name: str) -> st.SearchStrategy[bytes]:
    piece = st.one_of(st.sampled_from(phrases(name)), st.binary(max_size=20))
    return st.lists(piece, max_size=12).map(b"".join)


def replies(name: str, data: bytes, cuts: list[int]) -> bytes:
    wire = WIRES[name](Plant())
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return b"".join(wire.receive(data[low:high], 5.0) for low, high in pairwise(edges))


@pytest.mark.parametrize("name", NAMES)
def test_random_bytes_never_break_an_instrument(name):
    @FEW
    @given(talk(name), st.floats(0, 100))
    def check(data, later_s):
        wire = WIRES[name](Plant())
        wire.receive(data, 1.0)
        wire.poll(1.0 + later_s)
        assert isinstance(wire.receive(b"\r\n", 2.0 + later_s), bytes)

    check()


@pytest.mark.parametrize("name", NAMES)
def test_fragmentation_never_changes_the_replies(name):
    @FEW
    @given(talk(name), st.lists(st.integers(0, 1000), max_size=8))
    def check(data, cuts):
        assert replies(name, data, cuts) == replies(name, data, [])

    check()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tdc-stream"])
def test_an_instrument_answers_sense_after_any_nonsense(name):
    content = transcript(name)
    question = as_bytes(content, content["exchanges"][0]["send"])
    end = b"\x03\r\n" if name == "pfeiffer-tpg26x" else b"\r\n"

    @FEW
    @given(st.binary(max_size=400))
    def check(noise):
        wire, _ = wire_of(content)
        wire.receive(noise + end, 1.0)
        settled = wire.receive(question, 2.0)
        wire.receive(b"", 3.0)
        assert wire.receive(question, 4.0) == settled != b""

    check()


@pytest.mark.parametrize("name", NAMES)
def test_time_that_stands_still_or_jumps_back_does_no_harm(name):
    wire = WIRES[name](Plant())
    wire.advance(10.0)
    wire.advance(10.0)
    wire.advance(3.0)
    assert wire.now_s == 10.0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tdc-stream"])
def test_every_single_byte_as_a_line_and_within_one_is_survived(name):
    wire = WIRES[name](Plant())
    for noise in (bytes([byte]) for byte in range(256)):
        for line in (
            noise,
            noise * 2,
            b"N" + noise,
            b">" + noise + b"?",
            b"INNAME A," + noise,
            b"VOLT " + noise,
        ):
            assert isinstance(wire.receive(line + b"\r\n", 1.0), bytes), f"after {line!r}"
        assert isinstance(wire.receive(b"INNAME? A\r\n", 1.0), bytes), f"after {noise!r}"
