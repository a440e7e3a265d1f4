"""Compositions come out as they went in, within the errors that are told, and the errors are those of counting."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from evapd.cli import app
from evapd.errors import StateError
from evapd.record.finalise import finalise
from evapd.report.composed import compose_run
from evapd.report.known_peaks import peaks_from_text, peaks_of_elements
from evapd.spectrometry.composition import (
    Counted,
    Histogram,
    RangeCounter,
    backgrounds,
    charge_ratios,
    shares_of,
)
from evapd.spectrometry.ranges import Range
from support.finished_runs import finished_run, hit_block
from support.recorded_runs import record_run

AL, FE, ALO = (
    Range(26.9, 27.3, (("Al", 1),)),
    Range(27.8, 28.3, (("Fe", 1),)),
    Range(42.9, 43.3, (("Al", 1), ("O", 1))),
)


def counted(*pairs, background=0.0, error=0.0):
    return [Counted(each, hits, background, error) for each, hits in pairs]


def test_errors_of_a_composition_without_background_are_the_multinomial_ones():
    al, fe = shares_of(counted((AL, 6000), (FE, 4000)))
    assert (al.element, al.fraction) == ("Al", 0.6)
    assert al.error == pytest.approx(np.sqrt(0.6 * 0.4 / 10_000))
    assert fe.error == pytest.approx(al.error)


def test_an_ion_of_two_elements_counts_for_both():
    shares = {share.element: share for share in shares_of(counted((AL, 100), (ALO, 100)))}
    assert shares["Al"].fraction == pytest.approx(200 / 300)
    assert shares["O"].fraction == pytest.approx(100 / 300)


def test_errors_tell_how_compositions_of_repeated_runs_scatter():
    rng = np.random.default_rng(1)
    runs = [
        {share.element: share for share in shares_of(counted((AL, a), (FE, f), (ALO, o)))}
        for a, f, o in rng.poisson((600, 300, 100), (400, 3))
    ]
    for element in ("Al", "Fe", "O"):
        scatter = np.std([run[element].fraction for run in runs])
        assert np.mean([run[element].error for run in runs]) == pytest.approx(scatter, rel=0.12)


def test_background_makes_the_error_larger_and_is_taken_off():
    clean, dirty = (
        shares_of(counted((AL, 900), (FE, 300)))[0],
        shares_of(counted((AL, 1000), (FE, 400), background=100.0, error=10.0))[0],
    )
    assert dirty.fraction == pytest.approx(clean.fraction)
    assert dirty.error > clean.error


def test_nothing_above_the_background_gives_no_composition():
    assert shares_of(counted((AL, 10), background=20.0)) == []


@pytest.mark.parametrize("method", ["flat-tof", "sidebands"])
def test_hits_even_in_time_of_flight_are_taken_off_as_background(method):
    rng = np.random.default_rng(2)
    histogram = Histogram(60.0)
    histogram.add((60.0 * rng.random(200_000) ** 2).astype(np.float32))
    found, used = backgrounds(histogram, (AL, FE, ALO), method)
    truth = [200_000 * (np.sqrt(each.high_da / 60) - np.sqrt(each.low_da / 60)) for each in (AL, FE, ALO)]
    assert used == method
    for (below, error), expected in zip(found, truth, strict=True):
        assert abs(below - expected) < 4 * error + 0.02 * expected


def test_where_ranges_leave_no_room_the_method_that_was_used_is_told():
    crowd = tuple(Range(m - 0.45, m + 0.45, (("Al", 1),)) for m in range(1, 30))
    assert backgrounds(Histogram(30.0), crowd, "flat-tof")[1] == "sidebands"


def test_edges_belong_to_one_range_only():
    one, other = Range(26.0, 27.0, (("Al", 1),)), Range(27.0, 28.0, (("Fe", 1),))
    counter = RangeCounter((one, other))
    counter.add(np.array([25.9, 26.0, 27.0, 27.5, 28.0, np.nan], np.float32))
    assert counter.hits.tolist() == [1, 2]


def test_a_charge_state_ratio_has_the_error_of_its_two_counts():
    pile = [
        Counted(AL, 400, 0.0, 0.0, charge=1),
        Counted(Range(13.4, 13.6, AL.atoms), 100, 0.0, 0.0, charge=2),
    ]
    (ratio,) = charge_ratios(pile)
    assert (ratio.ion, ratio.charge, ratio.ratio) == ("Al", 1, 0.25)
    assert ratio.error == pytest.approx(0.25 * np.sqrt(1 / 400 + 1 / 100))


RANGES = """[Ions]
Number=3
Ion1=Al
Ion2=Fe
Ion3=H
[Ranges]
Number=4
Range1=26.80 27.40 Al:1
Range2=27.75 28.40 Fe:1
Range3=13.40 13.70 Al:1
Range4=0.95 1.10 H:1
"""


def recorded(tmp_path, seconds=6.0):
    store, _ = record_run(tmp_path / "runs", seconds)
    finalise(store.folder)
    path = tmp_path / "x.rrng"
    path.write_text(RANGES)
    return store.folder, path


def test_the_composition_of_a_run_is_that_of_its_ions_within_three_errors(tmp_path):
    folder, ranges = recorded(tmp_path)
    done = compose_run(folder, ranges, method="none")
    shares = {share.element: share for share in done.shares}
    for element, truth in (("Al", 0.8 / 0.95), ("Fe", 0.12 / 0.95), ("H", 0.03 / 0.95)):
        assert abs(shares[element].fraction - truth) < 3 * shares[element].error + 0.005
    (ratio,) = done.ratios
    assert abs(ratio.ratio - 0.2 / 0.6) < 3 * ratio.error + 0.005


def test_commands_answer_programs_in_json(tmp_path):
    folder, ranges = recorded(tmp_path)
    mass = tmp_path / "m.yaml"
    told = CliRunner().invoke(
        app,
        [
            "calibrate-mass",
            str(folder),
            "-o",
            str(mass),
            "--peaks",
            "1:H,27:Al,18.6:x",
            "--picture",
            str(tmp_path / "m.png"),
            "--json",
        ],
    )
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["hits"] > 10_000
    assert (tmp_path / "m.png").stat().st_size > 10_000
    plotted = CliRunner().invoke(
        app, ["plot", str(folder), "-o", str(tmp_path / "r.png"), "--mass", str(mass)]
    )
    assert plotted.exit_code == 0, plotted.stderr
    composed = CliRunner().invoke(
        app, ["compose", str(folder), "--ranges", str(ranges), "--mass", str(mass), "--json"]
    )
    assert json.loads(composed.stdout)["composition"][0]["element"] == "Al"
    exported = CliRunner().invoke(app, ["export", str(folder), "--to", "pos", "--mass", str(mass), "--json"])
    assert json.loads(exported.stdout)["kind"] == "pos"
    imported = CliRunner().invoke(app, ["import", str(tmp_path / "none.raw"), "--folder", str(tmp_path)])
    assert "name an APyT .raw" in str(imported.exception)


def test_a_run_without_masses_has_no_composition(tmp_path):
    configuration = {"instrument": {"flight_path_mm": 300.0, "flight_path_kind": "reflectron"}}
    run = finished_run(tmp_path, [hit_block(0, [1, 2])], configuration=configuration)
    (tmp_path / "x.rrng").write_text(RANGES)
    with pytest.raises(StateError, match="--mass"):
        compose_run(run, tmp_path / "x.rrng")


def test_known_peaks_are_the_ions_nearest_to_rounded_masses():
    peaks = {peak.name: peak.mass_da for peak in peaks_from_text("1:H, 27:Al,28:Fe,18.0106:H2O,61:W")}
    assert peaks["1H+"] == pytest.approx(1.00728, abs=1e-5)
    assert peaks["27Al+"] == pytest.approx(26.98099, abs=1e-5)
    assert peaks["56Fe2+"] == pytest.approx(27.96692, abs=1e-5)
    assert peaks["H2O"] == 18.0106
    assert "184W3+" in peaks or "183W3+" in peaks


@pytest.mark.parametrize(
    "text", ["", "Al", "27", "27:Qq", "90:Al", "27:Al,,", "27:Al,26.98:x", "9999.5:x", "-1:H"]
)
def test_a_wrong_peak_is_named(text):
    with pytest.raises(StateError, match="--peaks"):
        peaks_from_text(text)


def test_peaks_of_elements_leave_out_isotopes_that_share_a_peak():
    names = [peak.name for peak in peaks_of_elements(("Al", "Fe"))]
    assert "27Al+" in names
    assert "54Fe2+" not in names
    with pytest.raises(StateError, match="Qq"):
        peaks_of_elements(("Qq",))
    with pytest.raises(StateError, match="--elements"):
        peaks_of_elements(())
