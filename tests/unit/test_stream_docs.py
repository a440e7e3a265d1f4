"""The protocol pages say what the code does."""

import json
import re
from pathlib import Path

import pytest

from evapd.blocks import HIT_COLUMNS, TDC_COLUMNS
from evapd.rpc import MAX_REQUEST_BYTES, Args, Command, Dispatcher
from evapd.rpc.memory import PER_CLIENT
from evapd.rpc.request import MAX_ID_LENGTH
from evapd.stream import frame, jsontext, publisher, replay, sockets
from evapd.stream.frame import TOPICS
from support.stream_page import hex_dump, worked_example

PAGES = Path(__file__).parents[2] / "docs" / "protocols"
STREAM, CONTROL = (PAGES / "stream.md").read_text(), (PAGES / "control.md").read_text()


class TargetRate(Args):
    target_rate: float


@pytest.mark.parametrize("part", [0, 1, 2], ids=["topic", "header", "payload"])
def test_the_hex_dump_of_the_page_is_what_the_code_encodes(part):
    dumps = re.findall(r"```hexdump\n(.*?)\n```", STREAM, re.DOTALL)
    assert dumps[part] == hex_dump(bytes(worked_example().parts()[part]))


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_is_on_the_page(topic):
    assert f"| `{topic}` |" in STREAM


@pytest.mark.parametrize("column", [*HIT_COLUMNS, *TDC_COLUMNS], ids=lambda column: column.name)
def test_every_column_is_on_the_page_with_its_type(column):
    assert re.search(rf"`{column.name}` `{re.escape(column.dtype.replace('|', ''))}`", STREAM), column


@pytest.mark.parametrize(
    "number",
    [
        frame.MAX_HEADER_BYTES,
        frame.MAX_PAYLOAD_BYTES,
        replay.MAX_RANGE,
        sockets.LARGEST_FRAME_BYTES,
        jsontext.MAX_DEPTH,
    ],
)
def test_every_limit_is_on_the_page(number):
    assert f" {number:,d} ".replace(",", " ") in STREAM


def test_the_pattern_of_a_nonce_is_on_the_page():
    assert "[A-Za-z0-9_-]{8,64}" in STREAM
    assert "[A-Za-z0-9_-]{8,64}" in publisher._WELCOME.pattern.decode()


@pytest.mark.parametrize("number", [MAX_REQUEST_BYTES, MAX_ID_LENGTH, PER_CLIENT])
def test_every_limit_of_requests_is_on_the_page(number):
    assert f" {number:,d} ".replace(",", " ") in CONTROL


def test_the_replay_request_of_the_page_is_one():
    [example] = re.findall(r"```json\n(.*?)\n```", STREAM, re.DOTALL)
    assert replay.ReplayRequest.model_validate_json(example).fault("0123456789abcdef0123456789abcdef") == ""


def test_the_request_of_the_page_is_answered():
    example = re.findall(r"```json\n(.*?)\n```", CONTROL, re.DOTALL)[0].encode()
    served = Dispatcher([Command("set", TargetRate, lambda args: args)])
    assert json.loads(served.answer(b"peer", example))["result"] == {"target_rate": 0.008}
