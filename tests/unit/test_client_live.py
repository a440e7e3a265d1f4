"""The live feed: arrays as arrays, bytes that are no document counted, and the newest for whoever is slow."""

import base64
from typing import Any

import numpy as np
import pytest
import zmq

from evapd.client import Client, RequestTimeout, mass_edges_da
from evapd.client.live import decode_live
from evapd.errors import FrameError
from evapd.stream.jsontext import to_json
from support.stream_daemon import Daemon


def array(values: Any, **changed: Any) -> dict[str, Any]:
    made = np.asarray(values, dtype="<u2")
    data = base64.b64encode(made.tobytes()).decode()
    return {"dtype": "<u2", "shape": list(made.shape), "data": data, **changed}


def message(content: Any) -> list[bytes]:
    return [b"live." + to_json(content)]


def test_arrays_inside_a_document_become_arrays_wherever_they_stand():
    document = decode_live(
        message({"hits": 3, "map": {"run": array([[1, 2], [3, 4]])}, "list": [array([5])]})
    )
    assert document["map"]["run"].tolist() == [[1, 2], [3, 4]]
    assert document["list"][0].tolist() == [5]
    assert document["hits"] == 3


@pytest.mark.parametrize(
    "parts",
    [
        [], [b"live."], [b"live.[]"], [b"live.{"], [b"hits.{}"], [b"live.", b"{}"],
        message({"a": array([1], dtype="O")}), message({"a": array([1], dtype=["<u2"])}),
        message({"a": array([1], shape=[2])}), message({"a": array([1], shape=[-1])}),
        message({"a": array([1], shape=[2**62, 2**62])}), message({"a": array([1], shape="1")}),
        message({"a": array([1], data="?")}), message({"a": array([1], data=None)}),
    ],
)  # fmt: skip
def test_what_is_no_live_document_is_refused(parts):
    with pytest.raises(FrameError):
        decode_live(parts)


def test_garbage_is_counted_and_the_next_document_is_given():
    with zmq.Context() as context, context.socket(zmq.PUB) as shown:
        port = shown.bind_to_random_port("tcp://127.0.0.1")
        with Client(live=f"tcp://127.0.0.1:{port}") as evapd:
            source = evapd._displays()()
            while not source.counts.garbage:
                shown.send(b"live.[1]")
                source.receive(0.05)
            assert {notice.kind for notice in source.take_notices()} == {"garbage"}
            shown.send_multipart(message({"hits": 2}))
            assert source.receive(30.0) == {"hits": 2}
            source.close()


def test_the_client_gives_what_the_daemon_shows():
    with Daemon() as daemon:
        publisher = daemon.publisher
        with Client(live=publisher.live_address) as evapd:
            source = evapd._displays()()
            while not source.await_welcome(0.05):
                publisher.publish_live({"hits": 1, "map": array([7])})
            document = source.receive(0.0)
            source.close()
    assert document is not None
    assert document["map"].tolist() == [7]


def test_nobody_who_shows_anything_is_a_time_out():
    with Client(live="tcp://127.0.0.1:9", timeout_s=0.05) as evapd, pytest.raises(RequestTimeout):
        evapd.live()


def test_the_edges_of_a_spectrum_are_evenly_spaced_in_the_root():
    edges = mass_edges_da({"bins": 4, "max_da": 16.0, "spacing": "root"})
    assert edges.tolist() == [0.0, 1.0, 4.0, 9.0, 16.0]
    with pytest.raises(FrameError, match="update"):
        mass_edges_da({"bins": 4, "max_da": 16.0, "spacing": "even"})
