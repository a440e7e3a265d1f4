"""Histories and documents of live analysis: bounded, and a fault costs the display alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evapd.acquire.counts import Counts
from evapd.acquire.display import Display, histories_of, instruments
from evapd.live.arrays import unpacked
from evapd.live.history import History
from evapd.live.service import KEYS, LiveService
from evapd.stream.jsontext import from_json, to_json
from support.live_bench import LiveBench, hit_block
from support.wait import wait_for


def column(history: History, name: str, part: str = "mean", **asked: Any) -> list[float]:
    return unpacked(history.document(**asked)["columns"][name][part]).tolist()


@settings(deadline=None)
@given(
    steps=st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    most=st.integers(1, 20),
    since_s=st.floats(0.0, 2000.0),
)
def test_histories_keep_every_extreme_in_bounded_bins(
    steps: list[tuple[float, float]], most: int, since_s: float
) -> None:
    history, t_s = History(20), 100.0
    history.begin("run", t_s, 1)
    for step_s, value in steps:
        t_s += step_s
        history.add(t_s, {"v": value})
    told = history.document(0.0, most)
    values = np.array([value for _, value in steps], np.float32)
    assert told["bins"] <= most
    assert np.nanmin(column(history, "v", "min", most=most)) == values.min()
    assert np.nanmax(column(history, "v", "max", most=most)) == values.max()
    part = history.document(since_s, most)
    assert part["bins"] <= most
    assert part["first_s"] <= max(since_s, 0.0) or part["bins"] == 0
    assert (
        part["first_s"] + part["bins"] * part["bin_s"]
        >= min(t_s - 100.0, told["bins"] * told["bin_s"]) - 1e-6
    )


def test_a_bin_holds_least_mean_and_greatest_of_its_time() -> None:
    history = History()
    history.begin("run", 0.0, 1_000_000)
    for k in range(4):
        history.add(0.05 * k, {"v": float(k), "p": None, "q": float("nan")})
    history.add(1.01, {"v": 7.0})
    told = history.document()
    assert (told["run"], told["begun_utc"], told["bin_s"], told["bins"]) == ("run", 1_000_000, 0.2, 6)
    assert list(told["columns"]) == ["v"]
    assert [column(history, "v", part)[0] for part in ("min", "mean", "max")] == [0.0, 1.5, 3.0]
    assert np.isnan(column(history, "v")[1:5]).all()


def test_a_run_of_twelve_hours_stays_in_two_thousand_bins_and_is_quickly_told() -> None:
    history = History()
    history.begin("run", 0.0, 0)
    for t_s in range(0, 12 * 3600, 4):
        history.add(float(t_s), {"v": float(t_s)})
    told = history.document()
    assert 1000 <= told["bins"] <= 2000
    assert np.diff(column(history, "v")) == pytest.approx(told["bin_s"], abs=8.0)
    assert len(to_json(told)) < 50_000


def test_more_quantities_than_there_is_room_for_are_left_out() -> None:
    history = History()
    history.add(1.0, {f"q{k}": 1.0 for k in range(200)})
    assert len(history.document()["columns"]) == 64


STATUS: dict[str, Any] = {
    "instance": "i", "run_state": "running", "run": {"id": "run-1"}, "finalising": None, "hits": 1, "pulses": 2, "words": 3,
    "rate_per_pulse": 0.01, "losses": {}, "time_sums": None, "alarms": [],
    "guard": {"v_dc_v": 3000.0, "energy_state": "controlling", "target_rate": 0.01, "margins": {"arc": 0.5}},
    "devices": {
        "gauge": {"role": "vacuum", "state": "online", "age_s": 0.1, "reading": {"pressure_pa": {"a": 3e-9, "b": None}}},
        "cryo": {"role": "temperature", "state": "unknown", "age_s": 9.0, "reading": {"temperature_k": {"tip": 50.0}}},
        "stage": {"role": "stage", "state": "online", "age_s": 0.1, "reading": {"axes": {"x": {"position_mm": 1.5, "moving": False, "referenced": True}}}},
    },
}  # fmt: skip


def test_a_display_gets_pressure_stage_and_margins_and_nothing_of_what_is_unknown() -> None:
    told = instruments(STATUS["devices"])
    assert (told["pressure_pa"], told["pressures_pa"]) == (3e-9, {"gauge.a": 3e-9, "gauge.b": None})
    assert (told["temperature_k"], told["temperatures_k"]) == (None, {"cryo.tip": None})
    assert told["stage"]["stage.x"]["position_mm"] == 1.5
    assert told["devices"]["cryo"] == {
        "role": "temperature",
        "state": "unknown",
        "age_s": 9.0,
        "last_error": None,
    }


def display(status: Callable[[], dict[str, Any]], bench: LiveBench) -> Display:
    return Display(
        status, lambda: {"v_dc_v": 3000.0, "t_mono_us": bench.now_s * 1e6}, Counts, lambda: bench.now_s
    )


def test_how_long_a_state_has_stood_is_told() -> None:
    bench, status = LiveBench(), dict(STATUS)
    shown = display(lambda: status, bench)
    shown.present()
    bench.go(3.0)
    assert shown.present()["run_state_s"] == 3.0
    status["run_state"] = "stopping"
    assert (shown.present()["run_state_s"], shown.present()["energy_state_s"]) == (0.0, 3.0)


def test_a_guard_that_does_not_answer_leaves_no_old_value_behind() -> None:
    bench = LiveBench()
    told = display(lambda: STATUS | {"guard": None, "devices": {}}, bench).present()
    assert (told["energy_state"], told["v_dc_v"], told["margins"], told["loop"]["v_dc_v"]) == (
        "unknown",
        None,
        None,
        None,
    )


class Page:
    """What is published and told."""

    def __init__(self, bench: LiveBench, status: Callable[[], dict[str, Any]] = lambda: STATUS) -> None:
        self.documents: list[dict[str, Any]] = []
        self.events: list[tuple[str, str, str]] = []
        self.service = LiveService(
            present=display(status, bench).present, histories_of=histories_of, publish=self.publish, analysis=bench.analysis,
            tap=bench.tap, tell=lambda kind, severity, what, **_: self.events.append((kind, severity, what)),
            clock=lambda: bench.now_s, utc_us=lambda: 5,
        )  # fmt: skip

    def publish(self, document: dict[str, Any]) -> None:
        self.documents.append(from_json(to_json(document)))


def test_a_document_holds_everything_and_histories_follow() -> None:
    bench = LiveBench()
    page = Page(bench)
    bench.read(3000.0, 600.0)
    for _ in range(3):
        bench.offer(hit_block(np.full(4, 700_000), multiplicity=2))
        page.service.tick()
        bench.go(0.2)
    document = page.documents[-1]
    assert [one["n"] for one in page.documents] == [1, 2, 3]
    assert document["v"] == 1
    assert document["analysis"]["analysed_hits"] == 12
    assert set(KEYS) <= set(document)
    assert column(page.service.history, "v_dc_v")[-1] == 3000.0
    assert column(page.service.history, "multi_fraction")[-1] == 1.0
    assert column(page.service.history, "pressure_pa.gauge.a")[0] == pytest.approx(3e-9)


SHORT = replace(
    hit_block(np.full(4, 700_000)), tof_ps=np.zeros(3, np.int32)
)  # what a fault of a driver would be


@pytest.mark.parametrize("wrong", [object(), SHORT], ids=["no block", "columns of different lengths"])
def test_a_fault_of_the_analysis_is_one_alarm_and_documents_go_on_without_it(wrong: Any) -> None:
    bench = LiveBench()
    page = Page(bench)
    bench.tap.offer(wrong)
    for _ in range(3):
        page.service.tick()
    assert [(kind, severity) for kind, severity, _ in page.events] == [("live analysis", "alarm")]
    assert len(page.documents) == 3
    assert page.documents[-1]["spectrum"] is None
    assert page.documents[-1]["v_dc_v"] == 3000.0


def test_a_new_run_is_analysed_again_after_a_fault() -> None:
    bench = LiveBench()
    page = Page(bench)
    bench.tap.offer(object())  # type: ignore[arg-type]
    page.service.tick()
    bench.tap.begin("run-2")
    bench.offer(hit_block(np.full(4, 700_000)))
    page.service.tick()
    assert page.documents[-1]["analysis"]["run"] == "run-2"
    assert page.documents[-1]["analysis"]["analysed_hits"] == 4


def test_a_status_that_fails_costs_documents_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    answers = [RuntimeError("gone"), RuntimeError("gone"), STATUS]

    def status() -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    page = Page(LiveBench(), status)
    for _ in range(3):
        page.service.tick()
    assert len(page.documents) == 1
    assert sum("could not be made" in record.message for record in caplog.records) == 1


def test_documents_come_five_times_a_second_and_end_with_the_service() -> None:
    bench = LiveBench()
    page = Page(bench)
    service = LiveService(
        present=dict, histories_of=lambda _: {}, publish=page.publish, analysis=None, tap=bench.tap,
        tell=lambda *_, **__: None,
    )  # fmt: skip
    service.start()
    wait_for(lambda: len(page.documents) >= 3, "documents")
    service.stop()
    told = len(page.documents)
    times_us = [one["t_mono_us"] for one in page.documents]
    assert np.diff(times_us).min() >= 150_000
    assert len(page.documents) == told
    assert page.documents[-1]["analysis"] is None
