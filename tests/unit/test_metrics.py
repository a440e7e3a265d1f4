import math
import socket
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from evapd.acquire.state import RunState
from evapd.calibration.tracker import SumState
from evapd.config.metrics import Metrics, host_and_port
from evapd.device import DeviceState
from evapd.guard.energy import EnergyState
from evapd.metrics.collector import METRICS, EvapdCollector
from evapd.metrics.energy import DEVICE_STATES, ENERGY_STATES
from evapd.metrics.model import Snapshot
from evapd.metrics.page import BEGIN, END, markdown
from evapd.metrics.recording import RUN_STATES, SUM_STATES
from evapd.metrics.server import MOST_CONNECTIONS, Endpoint
from evapd.rpc import Command, Dispatcher, NoArgs
from evapd.stream.jsontext import to_json
from support.wait import wait_for

ROOT = Path(__file__).resolve().parents[2]
GUARD = {
    "energy_state": "evaporating", "v_dc_v": 3210.5, "v_dc_set_v": None, "margins": {"readback": 0.5, "arc": None},
    "lateness_us": {"p50": 50.0, "p99": 400.0, "max": 900.0, "skipped": 1}, "link": {"connected": True, "record_age_s": 0.01},
}  # fmt: skip
STATUS = {
    "instance": "i", "run_state": "running", "run": {"id": "r1", "elapsed_s": 3.0, "segment": 0}, "hits": 5, "guard": GUARD,
    "devices": {"hv": {"role": "specimen", "state": "online", "age_s": 0.1, "errors": {"DeviceTimeout": 2}}},
    "alarm_list": [{"source": "guard", "name": "arc", "severity": "alarm", "active": True}], "alarms": ["arc: x"],
    "losses": {"lost_blocks": 1, "flags": ["overflow"]},
}  # fmt: skip


def scraped(*statuses, **parts):
    """Samples of the last of several scrapes."""
    waiting = list(statuses)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(EvapdCollector(lambda: Snapshot(status=waiting.pop(0), **parts)))
    for _ in statuses:
        text = generate_latest(registry).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_page_holds_the_table_of_the_code():
    page = (ROOT / "docs/metrics.md").read_text()
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == markdown()


def test_names_follow_the_conventions_of_prometheus():
    for metric in METRICS:
        assert metric.name.startswith("evapd_")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not metric.name.endswith(("_ms", "_us", "_mb", "_v", "_s")), metric.name
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ENERGY_STATES, [state.label for state in EnergyState]), (RUN_STATES, list(RunState)),
     (DEVICE_STATES, list(DeviceState)), (SUM_STATES, list(SumState))],
)  # fmt: skip
def test_every_state_has_its_place(ours, theirs):
    assert sorted(ours) == sorted(map(str, theirs))


def test_values_are_those_of_the_status_in_base_units():
    found = scraped(STATUS)
    assert found["evapd_hits_total",] == 5
    assert found["evapd_v_dc_volts",] == 3210.5
    assert found["evapd_guard_lateness_seconds", "p99"] == pytest.approx(400e-6)
    assert found["evapd_energy_state", "evaporating"] == 1
    assert found["evapd_energy_state", "safe"] == 0
    assert found["evapd_device_errors_total", "DeviceTimeout", "hv"] == 2
    assert found["evapd_alarm_active", "alarm", "arc", "guard"] == 1


def test_control_requests_are_counted_by_command_and_result():
    dispatcher = Dispatcher([Command("look", NoArgs, lambda _: {})])
    for number, command in enumerate(["look", "look", "nothing"]):
        dispatcher.answer(b"x", to_json({"v": 1, "id": f"r{number}", "cmd": command}))
    found = scraped(STATUS, requests=dict(dispatcher.requests))
    assert found["evapd_control_requests_total", "look", "ok"] == 2
    assert found["evapd_control_requests_total", "InvalidRequest", "unknown"] == 1


def test_the_second_copy_and_the_lease_are_told():
    copy = {"frames": 9, "queued_bytes": 0, "lost": 1, "problem": ""}
    found = scraped(STATUS | {"journal": {"second_copy": copy}, "lease": {"holder": "x", "remaining_s": 3.0}})
    assert (found["evapd_journal_copy_whole",], found["evapd_control_lease_held",]) == (0, 1)
    assert scraped(STATUS | {"lease": None})["evapd_control_lease_held",] == 0


def test_what_is_not_known_is_nan_and_never_zero():
    found = scraped(STATUS)
    for name in ("evapd_v_dc_set_volts", "evapd_journal_queued_bytes", "evapd_rate_hits_per_pulse"):
        assert math.isnan(found[name,]), name
    assert math.isnan(found["evapd_guard_margin_ratio", "arc"])


def test_a_counter_that_is_not_known_is_left_out():
    assert ("evapd_journal_frames_total",) not in scraped(STATUS)


def test_a_guard_that_is_silent_leaves_nothing_but_nan_behind():
    found = scraped(STATUS, STATUS | {"guard": None, "devices": {}, "alarm_list": []})
    assert found["evapd_guard_up",] == 0
    gone = (
        "evapd_v_dc_volts",
        "evapd_energy_state",
        "evapd_guard_margin_ratio",
        "evapd_device_state",
        "evapd_alarm_active",
    )
    values = [value for (name, *_), value in found.items() if name in gone]
    assert len(values) > 15
    assert all(math.isnan(value) for value in values)


def test_an_alarm_that_is_over_is_zero_while_the_guard_answers():
    found = scraped(STATUS, STATUS | {"alarm_list": []})
    assert found["evapd_alarm_active", "alarm", "arc", "guard"] == 0


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*STATUS, *GUARD, "x"]), inner), max_leaves=30))  # fmt: skip
def test_no_status_whatever_breaks_a_scrape(content):
    status = dict.fromkeys(("hits", "journal", "lease", "finalising", "rate_per_pulse"), content)
    assert scraped(status | {"guard": GUARD | {"v_dc_v": content, "link": content}})


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "192.168.1.2:17605", "::", "example.org:80", "127.0.0.1", "127.0.0.1:70000", "[::]:1", ""],
)
def test_an_address_that_is_not_loopback_is_refused(address):
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:PORT"):
        Metrics(address=address)


@pytest.mark.parametrize(
    ("address", "place"),
    [("127.0.0.1:17605", ("127.0.0.1", 17605)), ("[::1]:0", ("::1", 0)), ("localhost:8", ("127.0.0.1", 8))],
)
def test_loopback_is_allowed_in_each_of_its_forms(address, place):
    assert Metrics(address=address)
    assert host_and_port(address) == place


@pytest.fixture
def endpoint():
    with serving() as made:
        yield made


@contextmanager
def serving(**more):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(EvapdCollector(lambda: Snapshot(status=STATUS)))
    made = Endpoint("127.0.0.1:0", registry, **more)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def get(endpoint, path="/metrics", method="GET", **headers):
    connection = HTTPConnection("127.0.0.1", endpoint.port, timeout=20.0)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.getheader("Content-Type"), reply.read()
    finally:
        connection.close()


def test_a_scrape_in_the_text_format_is_read_by_the_parser(endpoint):
    status, kind, body = get(endpoint)
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert any(one.name == "evapd_hits" for one in text_string_to_metric_families(body.decode()))


def test_a_scrape_in_openmetrics_is_read_by_the_parser(endpoint):
    _, kind, body = get(endpoint, Accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert any(one.name == "evapd_hits" for one in read_openmetrics(body.decode()))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/metrics", 405), ("GET", "/etc/passwd", 404), ("HEAD", "/metrics", 200)],
)
def test_other_requests_are_refused_in_plain_words(endpoint, method, path, status):
    assert get(endpoint, path, method)[0] == status


@pytest.mark.parametrize(
    "request_bytes", [b"\x00" * 40 + b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"\xff\xfe\n\n", b"x" * 100_000]
)
def test_garbage_gets_an_error_or_a_close_and_the_next_scrape_works(endpoint, request_bytes):
    with socket.create_connection(("127.0.0.1", endpoint.port), 20.0) as peer:
        peer.sendall(request_bytes)
        assert peer.recv(100).startswith(b"HTTP/1.1 4")
    assert get(endpoint)[0] == 200


def test_hundreds_of_connections_that_say_nothing_cost_no_thread_and_keep_no_scrape_out():
    peers = []
    # On this clock none of them ever runs out of patience: a scrape must make its own room.
    with serving(clock=lambda: 0.0) as endpoint:
        threads = threading.active_count()
        try:
            for _ in range(300):
                peers.append(socket.create_connection(("127.0.0.1", endpoint.port), 20.0))
                peers[-1].send(b"GET /me")
            assert get(endpoint)[0] == 200
            assert threading.active_count() <= threads
            assert len(endpoint._peers) <= MOST_CONNECTIONS
        finally:
            for peer in peers:
                peer.close()


def test_a_peer_that_is_slow_is_closed(endpoint):
    with socket.create_connection(("127.0.0.1", endpoint.port), 30.0) as peer:
        peer.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert peer.recv(10) == b""
    assert endpoint.counts["refused"] == 1


def test_scrapes_in_quick_succession_are_gathered_once(endpoint):
    for _ in range(20):
        get(endpoint)
    assert endpoint.counts["renders"] < 15


def test_a_port_that_is_taken_stops_nobody_and_is_told(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        late = Endpoint(f"127.0.0.1:{taken.getsockname()[1]}", CollectorRegistry())
        late.start()
        wait_for(lambda: "metrics cannot be served" in caplog.text, "the warning")
        late.stop()


def test_a_collector_that_fails_is_told_and_the_endpoint_goes_on():
    registry = CollectorRegistry(auto_describe=False)
    registry.register(EvapdCollector(lambda: Snapshot(status=None)))
    broken = Endpoint("127.0.0.1:0", registry)
    broken.start()
    try:
        assert [get(broken)[0] for _ in range(2)] == [500, 500]
    finally:
        broken.stop()
