"""Drivers by name: an unknown, broken or doubled plugin says so and hides no other."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from evapd.config import plugins
from evapd.config.plugins import INSTALLED, list_drivers
from evapd.errors import ConfigError

SHIPPED = {"fug-probus", "dg645", "ea-scpi", "pfeiffer-tpg26x", "lakeshore-336", "modbus-dio", "tdc-stream"}


def pretend(monkeypatch: pytest.MonkeyPatch, *pairs: tuple[str, str], group: str = plugins.DRIVERS) -> None:
    """Let the installed packages offer these entry points."""
    points = EntryPoints(EntryPoint(name, value, group) for name, value in pairs)
    monkeypatch.setattr(plugins, "entry_points", points.select)


def test_the_shipped_drivers_are_found_and_described() -> None:
    found = {info.name: info for info in list_drivers() if info.name in SHIPPED}
    assert set(found) == SHIPPED
    assert [info.problem for info in found.values() if info.problem] == []
    assert found["dg645"].protocol == "Pulser"
    assert all(info.doc and info.package == "evapd" for info in found.values())


def test_an_unknown_driver_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ("b", "x:B"), ("a", "x:A"))
    with pytest.raises(ConfigError, match="no driver is named 'c', known are a, b"):
        INSTALLED.find_driver("c")


def test_without_any_package_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    with pytest.raises(ConfigError, match="no package offers any"):
        INSTALLED.find_twin("atom-probe")


@pytest.mark.parametrize(("value", "says"), [
    ("no_such_module:X", "ModuleNotFoundError"), ("evapd.units:Nope", "AttributeError"),
    ("evapd.units:convert", "no Config"),
    ("evapd.device:DriverConfig", "no Config"),
])  # fmt: skip
def test_a_broken_driver_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    pretend(monkeypatch, ("mine", value))
    with pytest.raises(ConfigError, match=says) as caught:
        INSTALLED.find_driver("mine")
    assert "mine" in str(caught.value)


def test_a_broken_driver_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ("broken", "no_such_module:X"), ("dg645", "evapd_drivers.pulser.dg645:Dg645"))
    broken, good = list_drivers()
    assert "ModuleNotFoundError" in broken.problem
    assert (good.protocol, good.problem) == ("Pulser", "")


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ("mine", "a:X"), ("mine", "b:X"))
    with pytest.raises(ConfigError, match="several packages offer the driver 'mine': a:X, b:X"):
        INSTALLED.find_driver("mine")


def test_a_twin_that_is_no_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ("mine", "evapd.units:convert"), group=plugins.TWINS)
    with pytest.raises(ConfigError, match="not a model of settings"):
        INSTALLED.find_twin("mine")
