"""The display's ring of points: the newest of a run, bounded, whatever the documents hold."""

import base64
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.web.points import PointRing


def document(xyz, ion=None, *, run="run-1", number=1, instance="i", **changes):
    xyz = np.asarray(xyz, "<f4").reshape(-1, 3)
    ion = np.zeros(len(xyz), np.uint8) if ion is None else np.asarray(ion, np.uint8)
    packed = {
        "n": len(ion),
        "xyz_nm": {"dtype": "<f4", "data": base64.b64encode(xyz.tobytes()).decode()},
        "ion": {"dtype": "|u1", "data": base64.b64encode(ion.tobytes()).decode()},
    }
    live = {"n": number, "instance": instance, "analysis": {"run": run}, "points": packed}
    return json.dumps(live | changes).encode()


def unpacked(ring):
    told = ring.packed()
    [length] = struct.unpack_from("<I", told)
    head, at = json.loads(told[4 : 4 + length]), 4 + length
    assert at % 4 == 0
    assert len(told) == at + 13 * head["n"]
    xyz = np.frombuffer(told, "<f4", 3 * head["n"], at).reshape(-1, 3)
    return head, xyz, np.frombuffer(told, np.uint8, head["n"], at + 12 * head["n"])


@given(st.lists(st.integers(0, 12), max_size=12))
def test_it_holds_the_newest_in_their_order_and_never_more(sizes):
    ring, told = PointRing(most=20), []
    for number, size in enumerate(sizes, 1):
        fresh = [3 * k + number for k in range(size)]
        told += fresh
        ring.take(document([(k, k + 1, k + 2) for k in fresh], [k % 256 for k in fresh], number=number))
    head, xyz, ion = unpacked(ring)
    assert head["n"] == min(len(told), 20)
    assert head["document"] == len(sizes)
    assert xyz[:, 0].tolist() == told[-20:]
    assert ion.tolist() == [k % 256 for k in told[-20:]]


def test_one_document_may_hold_more_than_the_ring():
    ring = PointRing(most=4)
    ring.take(document([(k, 0, 0) for k in range(9)]))
    assert unpacked(ring)[1][:, 0].tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("other", [{"run": "run-2"}, {"instance": "j"}])
def test_a_new_run_or_a_new_start_of_the_daemon_begins_it_anew(other):
    ring = PointRing()
    ring.take(document([(1, 2, 3)], number=7))
    ring.take(document([], number=8, **other))
    head, xyz, _ = unpacked(ring)
    assert (head["n"], head["document"], len(xyz)) == (0, 8, 0)


def test_it_stays_after_the_run_until_the_next_begins():
    ring = PointRing()
    ring.take(document([(1, 2, 3)]))
    ring.take(document([], number=2, points=None))
    ring.take(document([], number=3, analysis=None))
    assert unpacked(ring)[0]["n"] == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"n":1}', document([(1, 2, 3)], [1, 2]), document([(1, 2, 3)], points={"n": 1}),
     document([(1, 2, 3)], points=3), document([(1, 2, 3)], points={"n": 1, "xyz_nm": {"data": "%"}, "ion": {"data": ""}}),
     document([(1, 2, 3)], analysis=[1]), document([(1, 2, 3)], number="x")],
)  # fmt: skip
def test_garbage_changes_nothing(body):
    ring = PointRing()
    ring.take(document([(1, 2, 3)], number=5))
    before = ring.packed()
    ring.take(body)
    assert ring.packed() == before
