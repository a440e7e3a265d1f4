import numpy as np
import pytest

from evapd.errors import ConfigError
from evapd_sim.elements import element_table, species_of


def test_every_element_and_kind_of_number_names_its_source() -> None:
    table = element_table()
    assert all(element.source for element in table.elements.values())
    assert {"isotopes", "fields", "densities"} <= table.sources.keys()


def test_shares_of_an_element_add_up_to_one_whatever_the_rounding_of_the_table() -> None:
    species = species_of(dict.fromkeys(element_table().elements, 1.0))
    sums = np.bincount(species.element, weights=species.share)
    assert sums == pytest.approx(np.ones(len(species.elements)), abs=1e-12)


def test_composition_is_normalised() -> None:
    assert species_of({"Al": 3.0, "Fe": 1.0}).fraction == pytest.approx([0.75, 0.25])


def test_doubly_charged_iron_lies_at_half_its_mass() -> None:
    species = species_of({"Fe": 1.0})
    row = species.names.index("56Fe2+")
    assert species.mass_to_charge_da[row] == pytest.approx(27.967, abs=0.001)


def test_an_unknown_element_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="Xx; known are Al, Si"):
        species_of({"Al": 0.5, "Xx": 0.5})


@pytest.mark.parametrize("composition", [{}, {"H": 1.0}])
def test_a_tip_of_nothing_solid_is_refused(composition: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        species_of(composition)
