"""Every simulated instrument answers as its protocol page says, byte by byte."""

import pytest

from evapd_sim.wire.registry import WIRES
from wire.wire_talk import TRANSCRIPTS, as_bytes, deliver, give, transcript, wire_of

NAMES = sorted(path.stem for path in TRANSCRIPTS.glob("*.yaml"))


def test_every_instrument_has_a_transcript():
    assert sorted(WIRES) == NAMES


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("name", NAMES)
def test_replies_are_those_of_the_transcript_in_any_fragmentation(name, step):
    content = transcript(name)
    wire, plant = wire_of(content)
    now_s = 100.0
    wire.advance(now_s)
    for number, exchange in enumerate(content["exchanges"]):
        given = dict(exchange.get("given", {}))
        delivery = given.pop("deliver", None)
        give(wire, plant, given)
        if delivery is not None:
            deliver(wire, **delivery)
        now_s += exchange.get("wait_s", 0.0)
        sent = as_bytes(content, exchange["send"])
        reply = b"".join(wire.receive(sent[at : at + step], now_s) for at in range(0, len(sent), step))
        reply += wire.poll(now_s) if delivery is not None else b""
        assert reply == as_bytes(content, exchange["reply"]), f"exchange {number}: {exchange}"
