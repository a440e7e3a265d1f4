"""Quantities: numbers with units, and only with the right ones."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from evapd.units import Volt, convert, parse_quantity


class Settings(BaseModel):
    v_max_v: Volt = Field(gt=0, le=15000)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("5 kV", "V", 5000.0), ("-3mV", "V", -3e-3), ("1e3 ns", "ps", 1e6), ("2 min", "s", 120.0)],
)
def test_quantity_is_converted(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize("text", ["5 mm", "5", "kV", "5 kV kV", "", "five V", "1,5 kV"])
def test_wrong_unit_or_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"wrong unit|not a number"):
        parse_quantity(text, "V")


def test_mbar_and_torr_become_pascal() -> None:
    assert convert(1.0, "mbar", "Pa") == 100.0
    assert convert(760.0, "Torr", "Pa") == pytest.approx(101325.0)


def test_setting_takes_number_and_quantity_alike() -> None:
    assert Settings(v_max_v=5000).v_max_v == Settings.model_validate({"v_max_v": "5 kV"}).v_max_v


@pytest.mark.parametrize("value", [True, "5 mm", "20 kV", -1, None])
def test_setting_refuses_what_is_no_voltage_in_range(value: object) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"v_max_v": value})


@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_a_plain_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_quantity(text, "V"), float)
