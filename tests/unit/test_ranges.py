"""Range files: what is wrong is told with its line; what is right counts each hit once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import ConfigError
from evapd.spectrometry.composition import charge_of
from evapd.spectrometry.ions import ELECTRON_DA, isotope_table
from evapd.spectrometry.ranges import Range, load_ranges

RRNG = """[Ions]
Number=2
Ion1=Cr
Ion2=O
[Ranges]
Number=3
Range1=83.5950 86.5550 Vol:0.06966 Cr:1 O:2 Color:00FF00
Range2=25.7710 27.2110 Vol:0.01201 Name:Cr Cr:1 Color:FF33CC
Range3=10,0 10,5 Vol:0 Name:dirt Color:000000
"""
RNG = """2 2
Iron
Fe 1.00 0.00 0.00
Oxygen
O 0.00 0.00 1.00
----------------- Fe O
. 27.80 28.30 1 0
. 71.80 72.40 1 1
--- polyatomic extension
1 1
"""


def load(tmp_path, text, name="x.rrng"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_ranges(path)


def test_an_rrng_file_gives_its_ranges_in_order_of_mass(tmp_path):
    dirt, cr, cro2 = load(tmp_path, RRNG).ranges
    assert (dirt.low_da, dirt.high_da, dirt.atoms, dirt.ion) == (10.0, 10.5, (), "dirt")
    assert (cr.ion, cr.atoms) == ("Cr", (("Cr", 1),))
    assert (cro2.low_da, cro2.high_da, cro2.ion) == (83.595, 86.555, "CrO2")


def test_an_rng_file_gives_its_ranges_and_notes_what_it_repeats(tmp_path):
    file = load(tmp_path, RNG, "x.rng")
    assert [each.ion for each in file.ranges] == ["Fe", "FeO"]
    assert "polyatomic" in file.notes[0]


def test_colours_are_those_of_the_file_and_none_where_it_gives_none(tmp_path):
    assert [each.colour for each in load(tmp_path, RRNG).ranges] == ["#000000", "#ff33cc", "#00ff00"]
    assert [each.colour for each in load(tmp_path, RNG, "x.rng").ranges] == ["#ff0000", ""]
    assert load(tmp_path, RRNG.replace("00FF00", "green")).ranges[2].colour == ""


def test_windows_line_ends_and_marks_of_encoding_make_no_difference(tmp_path):
    plain = load(tmp_path, RRNG).ranges
    assert load(tmp_path, b"\xef\xbb\xbf" + RRNG.replace("\n", "\r\n").encode()).ranges == plain
    assert (
        load(
            tmp_path, RRNG.replace("dirt", "Schmutz \xfc").replace(" \xfc", "\xfc").encode("latin-1")
        ).ranges[1:]
        == plain[1:]
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("25.7710 27.2110", "27.2110 25.7710", ":8: 27.211 to 25.771 Da is no range"),
        ("25.7710 27.2110", "x 27", ":8: 'x 27' are not two masses"),
        ("25.7710 27.2110", "1e9 1e10", "is no range"),
        ("25.7710 27.2110", "nan inf", "are not two masses"),
        ("83.5950 86.5550", "26 86.5550", ":7: range 26 to 86.555 Da overlaps that of line 8"),
        ("Cr:1 O:2", "Cr:1 O:222222", "more than 99 atoms"),
        ("Cr:1 O:2", "Cr:-1", "neither El:n"),
        (" Cr:1 O:2", "", "belongs to no ion"),
        ("Number=3", "Number=4", "Number=4, but has 3"),
        ("Number=3", "Number=x", "is no count"),
        ("Range3", "Range2", "Range2 is there twice"),
        ("Range3=", "Strange3=", "does not belong into section"),
    ],
)
def test_what_is_wrong_in_an_rrng_file_is_told_with_its_line(tmp_path, old, new, what):
    with pytest.raises(ConfigError, match=what.replace("(", r"\(")):
        load(tmp_path, RRNG.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("2 2\nIron", "2 x\nIron", ":1: .* numbers of elements"),
        ("2 2\nIron", "3 2\nIron", "2 names stand behind the dashes"),
        ("2 2\nIron", "2 9\nIron", "9 ranges, but there are"),
        ("27.80 28.30 1 0", "27.80 28.30 1", "found are 4 words"),
        ("27.80 28.30 1 0", "27.80 28.30 0 0", "belongs to no ion"),
        ("27.80 28.30 1 0", "27.80 28.30 1.5 0", "whole numbers"),
        ("--- polyatomic extension", ". 90 91 1 0", "follow the 2 ranges"),
    ],
)
def test_what_is_wrong_in_an_rng_file_is_told_with_its_line(tmp_path, old, new, what):
    with pytest.raises(ConfigError, match=what):
        load(tmp_path, RNG.replace(old, new), "x.rng")


def test_every_problem_of_a_file_is_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, RRNG.replace("25.7710", "x").replace("Number=3", "Number=7"))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("text", [b"", b"\0\1\2", b"hello\n", b"[Ions]\nNumber=0\n[Ranges]\nNumber=0\n"])
def test_a_file_that_is_no_range_file_is_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        load(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"name a \.rrng or \.rng file"):
        load_ranges(tmp_path / "none.rrng")


@given(junk=st.text(alphabet="[]RangesIoNumbr=:.-0123456789 \nFe\t", max_size=300))
def test_any_text_is_read_or_refused_but_never_crashes(tmp_path_factory, junk):
    path = tmp_path_factory.getbasetemp() / "junk.rrng"
    for head in ("[Ranges]\n", "1 1\nIron\nFe 0 0 0\n---- Fe\n", ""):
        path.write_text(head + junk)
        try:
            found = load_ranges(path).ranges
        except ConfigError:
            continue
        assert all(one.high_da <= other.low_da for one, other in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("low", "high", "atoms", "charge"),
    [
        (27.8, 28.6, (("Si", 1),), 1),
        (13.8, 14.3, (("Si", 1),), 2),
        (83.5, 86.6, (("Cr", 1), ("O", 2)), 1),
        (41.8, 43.2, (("Cr", 1), ("O", 2)), 2),
        (60.5, 62.2, (("W", 1),), 3),
        (5.0, 5.5, (("Si", 1),), None),
        (20.0, 21.0, (("Xx", 1),), None),
        (20.0, 21.0, (), None),
    ],
)
def test_the_charge_of_a_range_is_that_which_brings_an_isotope_into_it(low, high, atoms, charge):
    found = charge_of(Range(low, high, atoms), isotope_table(), electron_da=ELECTRON_DA)
    assert found == charge
