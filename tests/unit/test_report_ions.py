"""The table of isotopes, and the names that found peaks get."""

import pytest

from evapd.spectrometry.ions import ions_of, isotope_table, unknown_elements
from evapd.spectrometry.naming import NamedPeak, Naming, name_peaks


def peak(mass_da: float, counts: float = 1000.0, width_da: float = 0.06) -> NamedPeak:
    return NamedPeak(
        mass_to_charge_da=mass_da, counts=counts, width_da=width_da, resolving_power=mass_da / width_da
    )


def naming(peaks: list[NamedPeak], elements: str, there: float = 0.0) -> Naming:
    return name_peaks(peaks, ions_of(elements.split()), lambda mass_da, width_da: there)


@pytest.mark.parametrize("element", list(isotope_table()))
def test_abundances_of_an_element_add_up_to_one(element: str) -> None:
    assert sum(share for _, share in isotope_table()[element]) == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize("element", list(isotope_table()))
def test_isotopes_of_an_element_differ_in_their_mass_number(element: str) -> None:
    numbers = [round(mass_da) for mass_da, _ in isotope_table()[element]]

    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize(
    ("name", "mass_da"), [("27Al+", 26.98099), ("56Fe2+", 27.96692), ("184W3+", 61.31643)]
)
def test_an_ion_lacks_its_electrons(name: str, mass_da: float) -> None:
    ion = next(ion for ion in ions_of(["Al", "Fe", "W"]) if ion.name == name)

    assert ion.mass_to_charge_da == pytest.approx(mass_da, abs=2e-5)


def test_an_element_that_is_none_is_named_and_gives_no_ions() -> None:
    assert unknown_elements(["Al", "Xx"]) == ("Xx",)
    assert ions_of(["Xx"]) == ()


def test_ions_that_one_peak_cannot_tell_apart_are_all_named_the_most_abundant_first() -> None:
    found = naming([peak(26.98), peak(27.967)], "Al Fe")

    assert found.peaks[0].label == "27Al+ / 54Fe2+"


def test_a_rare_isotope_explains_nothing_without_the_main_one() -> None:
    found = naming([peak(26.98)], "Al Fe")

    assert found.peaks[0].label == "27Al+"
    assert found.absent == ("Fe",)


def test_a_peak_that_no_named_element_fits_stays_without_a_name() -> None:
    found = naming([peak(1.007)], "Al Fe")

    assert found.peaks[0].candidates == ()
    assert found.absent == ("Al", "Fe")


def test_an_isotope_that_should_stand_out_but_does_not_is_missing() -> None:
    found = naming([peak(27.967, counts=10_000.0)], "Fe")

    missing = {miss.ion.name: miss.expected_counts for miss in found.missing}
    assert missing == pytest.approx({"54Fe2+": 637.0, "57Fe2+": 230.9, "58Fe2+": 30.7}, rel=1e-2)


def test_an_isotope_below_the_noise_is_not_missed() -> None:
    found = naming([peak(27.967, counts=10_000.0)], "Fe", there=2500.0)

    assert [miss.ion.name for miss in found.missing] == ["54Fe2+"]


def test_without_peaks_every_element_is_absent_and_nothing_is_missing() -> None:
    found = naming([], "Al W")

    assert (found.peaks, found.missing, found.absent) == ((), (), ("Al", "W"))
