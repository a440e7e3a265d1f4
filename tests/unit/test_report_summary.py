"""The summary says what was measured, and what is not known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evapd.errors import RecordError
from evapd.record.run import Condition, RunInfo
from evapd.report.losses import WORDING, losses_of, losses_text
from evapd.report.summary import Summary, summarise
from support.finished_runs import finished_run, hit_block
from support.recorded_runs import INSTRUMENT, blocks


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Twelve seconds at 1 %."""
    return summarise(finished_run(tmp_path_factory.mktemp("runs"), list(blocks(12.0))))


def line(summary: Summary, heading: str) -> str:
    return next(text for text in summary.lines() if text.startswith(heading))


def test_hits_pulses_and_duration_are_those_of_the_record(usual: Summary) -> None:
    assert usual.hits == sum(block.n for block in blocks(12.0))
    assert (usual.pulses, usual.live_pulses) == (2_400_000, 2_390_000)
    assert usual.duration_s == pytest.approx(12.0, abs=0.01)


def test_the_rate_is_set_beside_its_target_and_counting_statistics(usual: Summary) -> None:
    assert usual.rate is not None
    assert usual.rate.mean_over_target == pytest.approx(1.0, abs=0.02)
    assert usual.rate.scatter == pytest.approx(usual.rate.scatter_counting, rel=0.6)
    assert "of the target 0.01, over 11.0 s at target" in line(usual, "rate")
    assert "counting statistics alone" in line(usual, "scatter")


def test_voltages_are_those_at_the_hits(usual: Summary) -> None:
    assert usual.v_dc_v == pytest.approx((3000.0, 3060.0), abs=0.5)
    assert usual.v_tot_max_v == pytest.approx(1.2 * 3061.0, abs=2.0)


def test_peaks_stand_beside_what_the_elements_would_give(usual: Summary) -> None:
    assert usual.naming is not None
    labels = {round(peak.mass_to_charge_da, 0): peak.label for peak in usual.naming.peaks}
    assert labels[27.0] == "27Al+ / 54Fe2+"
    assert labels[28.0] == "56Fe2+"
    assert labels[1.0] == "?"
    assert "57Fe2+ at 28.467 Da" in line(usual, "not found")


def test_no_loss_is_stated_as_zero(usual: Summary) -> None:
    assert set(usual.losses) == set(WORDING)
    assert not any(usual.losses.values())
    assert "0 of every kind" in line(usual, "losses")


def test_the_summary_is_plain_json_without_nan(usual: Summary) -> None:
    plain = json.loads(json.dumps(usual.as_dict(), allow_nan=False))

    assert plain["hits"] == usual.hits
    assert plain["rate"]["target"] == 0.01


def test_a_run_without_hits_is_summarised(tmp_path: Path) -> None:
    summary = summarise(finished_run(tmp_path, [hit_block(number) for number in range(40)]))

    assert (summary.hits, summary.v_dc_v, summary.naming) == (0, None, None)
    assert "was not reached" in line(summary, "rate")
    assert json.dumps(summary.as_dict(), allow_nan=False)


def test_a_run_without_a_block_is_summarised(tmp_path: Path) -> None:
    summary = summarise(finished_run(tmp_path, []))

    assert (summary.hits, summary.live_pulses, summary.duration_s) == (0, 0, 0.0)
    assert summary.lines()


def test_hits_without_voltage_are_a_loss_and_have_no_masses(tmp_path: Path) -> None:
    summary = summarise(finished_run(tmp_path, [hit_block(0, [1, 2, 3])], guard=False))

    assert summary.losses["hits_without_voltage"] == 3
    assert "no hit has a known voltage" in line(summary, "mass peaks")
    assert "no hit has a known voltage" in line(summary, "voltage")


def test_a_reflectron_run_has_no_masses_and_says_so(tmp_path: Path) -> None:
    configuration = {"instrument": INSTRUMENT | {"flight_path_kind": "reflectron"}}

    summary = summarise(finished_run(tmp_path, [hit_block(0, [1, 2])], configuration=configuration))

    assert "no straight flight path" in line(summary, "mass peaks")


def test_a_law_that_holds_nothing_is_told(tmp_path: Path) -> None:
    configuration = {"instrument": INSTRUMENT, "control": {"law": "monitor", "target_rate": 0.01}}

    summary = summarise(finished_run(tmp_path, list(blocks(2.0)), configuration=configuration))

    assert summary.rate is None
    assert "law 'monitor' holds no rate, mean 0.01" in line(summary, "rate")


def test_conditions_and_the_reason_of_the_end_come_first(tmp_path: Path) -> None:
    run = finished_run(tmp_path, [], conditions=(Condition.ABORTED,), end_reason="the guard is gone")

    assert summarise(run).lines()[0].endswith("ABORTED, ended: the guard is gone")


def test_a_run_that_is_not_finalised_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="evapd export"):
        summarise(tmp_path)


def test_pulses_that_no_block_covers_are_a_loss(tmp_path: Path) -> None:
    made = [hit_block(number) for number in (0, 1, 4)]

    assert summarise(finished_run(tmp_path, made)).losses["pulses"] == 20_000


def test_losses_are_gathered_from_counters_and_journals_by_kind() -> None:
    info = RunInfo(
        id="r", name="r", t_start_utc=0, t_start_mono_us=0,
        counters={"hits": 110, "queue_overflows": 2, "journal_lost": 3, "saturated_blocks": 4},
    )  # fmt: skip
    journal = {"gaps": {"hits.": 5, "event.": 9}, "torn_bytes": 6, "damaged_bytes": 1, "undecodable": 1}

    lost = losses_of(info, {"journal_acquire": journal, "uncovered_pulses": 8}, hits=100)

    assert {kind: count for kind, count in lost.items() if count} == {
        "hits": 10, "pulses": 8, "queue_overflows": 2, "journal_frames_lost": 3, "blocks_saturated": 4,
        "journal_frames_missing": 5, "journal_bytes_damaged": 7, "frames_undecodable": 1,
    }  # fmt: skip
    assert losses_text(lost).endswith("0 of the 5 other kinds")


def test_more_peaks_than_can_be_read_are_cut_and_counted(usual: Summary) -> None:
    assert usual.naming is not None
    peak = usual.naming.peaks[0]
    many = tuple(replace(peak, mass_to_charge_da=float(m), counts=float(m)) for m in range(1, 42))

    lines = replace(usual, naming=replace(usual.naming, peaks=many)).lines()

    assert any("and 11 weaker ones" in text for text in lines)
