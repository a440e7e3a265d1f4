"""The peak finder: it finds what is there, and nothing where nothing is."""

import numpy as np
import pytest

from evapd.report.peaks import Peak, find_peaks, label_peaks
from evapd.report.spectrum import Spectrum
from support.mass_spectra import AL_FE, background_masses, spectrum_of

PEAKS = find_peaks(spectrum_of(AL_FE, 2000, 1))


def peak_at(mass_da: float) -> Peak:
    return min(PEAKS, key=lambda peak: abs(peak.mass_da - mass_da))


@pytest.mark.parametrize("mass_da", AL_FE)
def test_each_ion_of_aluminium_and_iron_is_found_within_0_05_da(mass_da: float) -> None:
    assert peak_at(mass_da).mass_da == pytest.approx(mass_da, abs=0.05)


def test_nothing_else_is_found_and_peaks_ascend() -> None:
    assert [round(peak.mass_da) for peak in PEAKS] == [1, 27, 28, 28, 29]


@pytest.mark.parametrize(("mass_da", "ions"), [(26.98, 20_580), (27.967, 9175), (28.468, 212)])
def test_the_counts_of_a_peak_are_its_ions(mass_da: float, ions: int) -> None:
    peak = peak_at(mass_da)
    assert abs(peak.counts - ions) < 4 * np.sqrt(ions) + 0.01 * ions


def test_the_resolving_power_is_that_of_the_spectrum() -> None:
    assert 400 < peak_at(26.98).resolving_power < 520
    assert peak_at(26.98).fwhm_da == pytest.approx(26.98 / peak_at(26.98).resolving_power, rel=0.01)


def test_a_stronger_background_is_told_and_subtracted() -> None:
    noisy = find_peaks(spectrum_of(AL_FE, 200_000, 1))
    iron = min(noisy, key=lambda peak: abs(peak.mass_da - 27.97))
    assert iron.background > 100
    assert iron.counts == pytest.approx(9175, rel=0.03)


def test_the_significance_falls_as_the_background_rises() -> None:
    sigmas = [
        max(p.significance for p in find_peaks(spectrum_of({60.0: 500}, n, 2)))
        for n in (100, 10_000, 100_000)
    ]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[-1] > 5


def test_an_empty_spectrum_has_no_peaks() -> None:
    assert find_peaks(Spectrum.empty()) == []


@pytest.mark.parametrize("hits", [20, 1000, 30_000, 500_000])
def test_background_alone_gives_no_peaks(hits: int) -> None:
    assert [seed for seed in range(40) if find_peaks(spectrum_of({}, hits, seed))] == []


def test_the_end_of_the_time_window_is_no_peak() -> None:
    spectrum = Spectrum.empty()
    spectrum.add(background_masses(np.random.default_rng(3), 300_000, high_da=120.0))
    assert find_peaks(spectrum) == []


def test_one_strong_peak_is_not_split_by_its_noise() -> None:
    for seed in range(10):
        found = find_peaks(spectrum_of({26.98: 1_000_000, 100.0: 100_000}, 1000, seed))
        assert [round(peak.mass_da) for peak in found] == [27, 100]


def test_the_isotopes_of_triply_charged_tungsten_are_told_apart() -> None:
    tungsten = {60.65: 2650, 60.98: 1430, 61.32: 3060, 61.98: 2840}
    found = find_peaks(spectrum_of(tungsten, 20_000, 3))
    assert [peak.mass_da for peak in found] == pytest.approx(list(tungsten), abs=0.1)


def test_a_handful_of_hits_is_no_peak() -> None:
    assert find_peaks(spectrum_of({40.0: 8}, 0, 1)) == []


def test_finer_or_coarser_bins_find_the_same_peaks() -> None:
    for bin_da in (0.005, 0.02):
        found = find_peaks(spectrum_of(AL_FE, 2000, 1, bin_da))
        assert [peak.mass_da for peak in found] == pytest.approx([peak.mass_da for peak in PEAKS], abs=0.02)


def test_labels_name_every_candidate_within_a_width_the_nearest_first() -> None:
    (peak,) = [peak for peak in PEAKS if round(peak.mass_da) == 27]
    masses = {"54Fe2+": 26.9692, "27Al+": 26.981, "56Fe2+": 27.967}
    assert label_peaks([peak], masses)[0].label == "27Al+ or 54Fe2+"


def test_a_peak_that_no_candidate_explains_stays_without_a_name() -> None:
    assert all(peak.label == "" for peak in label_peaks(PEAKS, {"12C+": 12.0}))
