"""Drivers and twins by name, from entry points: any installed package may add its own.

A driver class carries `Config`, the model of its settings (with `connect`, a descriptor), and `protocol`, the Protocol class
that it fulfils. A twin's entry point is the model of its settings. Nothing is imported before it is asked for by name.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from inspect import getdoc
from typing import Any, Protocol, cast

from pydantic import BaseModel

from evapd.errors import ConfigError

DRIVERS = "evapd.drivers"
TWINS = "evapd.twin"


class DriverClass(Protocol):
    """What a driver's class carries besides the methods of its Protocol."""

    Config: type[BaseModel]
    protocol: type

    def __call__(self, config: Any) -> Any:
        """Make the driver object; touches no hardware."""
        ...


class Plugins(Protocol):
    """Where drivers and twins are looked up."""

    def driver_names(self) -> tuple[str, ...]:
        """Give the names of all drivers, sorted."""
        ...

    def find_driver(self, name: str) -> DriverClass:
        """Give the class of a driver; raises `ConfigError`."""
        ...

    def twin_kinds(self) -> tuple[str, ...]:
        """Give the kinds of all twins, sorted."""
        ...

    def find_twin(self, kind: str) -> type[BaseModel]:
        """Give the settings model of a twin; raises `ConfigError`."""
        ...


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """One line of the list of drivers; `problem` says why a driver cannot be used."""

    name: str
    target: str  # module:class
    package: str
    protocol: str = ""
    doc: str = ""
    problem: str = ""


class InstalledPlugins:
    """What the installed packages offer."""

    def driver_names(self) -> tuple[str, ...]:
        """Give the names of all drivers, sorted."""
        return _names(DRIVERS)

    def find_driver(self, name: str) -> DriverClass:
        """Import a driver's class.

        Raises:
            ConfigError: when the name is unknown (the known ones are listed), the module cannot be imported,
                or the class lacks `Config` or `protocol`.
        """
        entry = _entry(DRIVERS, name, "driver")
        found = _load(entry, "driver")
        config = getattr(found, "Config", None)
        if not (
            isinstance(config, type) and issubclass(config, BaseModel) and "connect" in config.model_fields
        ):
            raise ConfigError(f"driver '{name}' ({entry.value}) has no Config with a field `connect`")
        if not isinstance(getattr(found, "protocol", None), type):
            raise ConfigError(f"driver '{name}' ({entry.value}) does not name the protocol it fulfils")
        return cast("DriverClass", found)

    def twin_kinds(self) -> tuple[str, ...]:
        """Give the kinds of all twins, sorted."""
        return _names(TWINS)

    def find_twin(self, kind: str) -> type[BaseModel]:
        """Import a twin's settings model.

        Raises:
            ConfigError: when the kind is unknown, cannot be imported, or is not a model.
        """
        entry = _entry(TWINS, kind, "twin")
        found = _load(entry, "twin")
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            raise ConfigError(f"twin '{kind}' ({entry.value}) is not a model of settings")
        return found


INSTALLED = InstalledPlugins()


def driver_names() -> tuple[str, ...]:
    """Give the names of all installed drivers, sorted."""
    return INSTALLED.driver_names()


def find_driver(name: str) -> DriverClass:
    """Import an installed driver's class; raises `ConfigError`."""
    return INSTALLED.find_driver(name)


def find_twin(kind: str) -> type[BaseModel]:
    """Import an installed twin's settings model; raises `ConfigError`."""
    return INSTALLED.find_twin(kind)


def list_drivers() -> tuple[DriverInfo, ...]:
    """Describe all installed drivers, sorted by name; one that is broken says why and hides no other."""
    return tuple(_describe(entry) for entry in sorted(entry_points(group=DRIVERS), key=lambda one: one.name))


def _describe(entry: EntryPoint) -> DriverInfo:
    package = entry.dist.name if entry.dist else ""
    try:
        found = find_driver(entry.name)
    except ConfigError as error:
        return DriverInfo(entry.name, entry.value, package, problem=str(error))
    doc = (getdoc(found) or "").partition("\n")[0]
    return DriverInfo(entry.name, entry.value, package, found.protocol.__name__, doc)


def _names(group: str) -> tuple[str, ...]:
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def _entry(group: str, name: str, what: str) -> EntryPoint:
    # One package seen twice on the path (a checkout beside its installation) gives equal entries.
    found = {entry.value: entry for entry in entry_points(group=group, name=name)}
    if not found:
        known = ", ".join(_names(group)) or "none, no package offers any"
        raise ConfigError(f"no {what} is named '{name}', known are {known}")
    if len(found) > 1:
        raise ConfigError(
            f"several packages offer the {what} '{name}': {', '.join(found)}; remove all but one"
        )
    return next(iter(found.values()))


def _load(entry: EntryPoint, what: str) -> Any:
    try:
        return entry.load()
    except Exception as error:  # somebody else's module may raise anything while it is imported
        raise ConfigError(
            f"{what} '{entry.name}' ({entry.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
