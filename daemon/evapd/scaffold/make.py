"""Make the package of a new driver from the templates."""

import re
from pathlib import Path

from evapd.config.check import PROTOCOLS_OF_ROLE
from evapd.errors import ConfigError
from evapd.scaffold.parts import Parts, kind_names, read_kind, template

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ALWAYS = {"DriverConfig", "Identity", "Link", "TransportFactory", "number", "open_transport", "same_serial"}
_CABLE_FILES = {
    "pyproject.toml": "pyproject",
    "README.md": "readme",
    "tests/test_conformance.py": "test_driver",
    "tests/test_transcript.py": "test_transcript",
    "tests/transcript.yaml": "transcript",
}
_ROOM = 30  # characters of a name: it becomes a class, a folder and an entry point


def kinds() -> tuple[str, ...]:
    """Give the kinds of instrument for which a package can be made."""
    return kind_names()


def make_driver(kind: str, name: str, into: Path) -> Path:
    """Make `into`/evapd-`name` with driver, simulated instrument, transcript and tests.

    Args:
        kind: one of `kinds()`.
        name: of the driver, as in a rig file: lower case, digits, single dashes between them, up to 30 characters.
        into: an existing folder.

    Returns:
        The folder that was made.

    Raises:
        ConfigError: for an unknown kind, a name that cannot be one, or a folder that is there already; nothing was written.
    """
    if kind not in kinds():
        raise ConfigError(f"no kind '{kind}', there are {', '.join(kinds())}")
    if not _NAME.fullmatch(name) or len(name) > _ROOM:
        raise ConfigError(
            f"'{name}' cannot be a driver's name: lower case letters and digits with single dashes, up to {_ROOM} characters"
        )
    folder = into / f"evapd-{name}"
    if folder.exists():
        raise ConfigError(f"{folder} is there already: choose another name, or remove it")
    if not into.is_dir():
        raise ConfigError(f"{into} is no folder")
    for path, text in _files(read_kind(kind), name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def _files(parts: Parts, name: str) -> dict[str, str]:
    """Give the text of every file by its path."""
    words = _names(parts, name)
    package = words["package"]
    if parts.about.get("family") == "library":
        words |= _library_words(parts)
        made = {
            "pyproject.toml": "library/pyproject",
            "README.md": "library/readme",
            f"src/{package}/driver.py": "library/driver",
            f"src/{package}/fake/__init__.py": "library/wire",
            f"src/{package}/fake/library.c": "library/fake",
            "tests/test_conformance.py": "library/test_driver",
        }
    else:
        words |= _cable_words(parts)
        made = _CABLE_FILES | {
            f"src/{package}/driver.py": "driver",
            f"src/{package}/wire.py": "wire",
        }
    texts = {path: template(source).substitute(words) for path, source in made.items()}
    texts[f"src/{package}/__init__.py"] = f'"""evapd driver: {words["title"]}."""\n'
    return texts


def _names(parts: Parts, name: str) -> dict[str, str]:
    """Give what every package is called."""
    title = parts.about["title"]
    return {
        "name": name,
        "distribution": f"evapd-{name}",
        "package": f"evapd_{name.replace('-', '_')}",
        "cls": "".join(word.capitalize() for word in name.split("-")),
        "model": name.replace("-", "").upper(),
        "title": title,
        "sentence": title[:1].upper() + title[1:],
        "protocol": parts.about["protocol"],
    }


def _library_words(parts: Parts) -> dict[str, str]:
    """Give what differs between drivers of a vendor's library."""
    return {
        "block": parts.about["block"],
        "channels": parts.about["channels"],
        "block_imports": ", ".join(sorted((parts.about["block"], "Loss"))),
        "protocol_imports": ", ".join(sorted((parts.about["protocol"], "Identity", "TdcDescription"))),
        "record": parts.text("record"),
        "make_block": parts.text("make_block", 8),
        "c_fields": parts.text("c_fields", 4),
        "c_make": parts.text("c_make", 8),
    }


def _cable_words(parts: Parts) -> dict[str, str]:
    """Give what differs between drivers that speak bytes."""
    about = parts.about
    methods = parts.text("methods", 4)
    wire = parts.text("wire_readings") + parts.text("wire_settings")
    return {
        "connect": about["connect"],
        "role": next(role for role, names in PROTOCOLS_OF_ROLE.items() if about["protocol"] in names),
        "transport": about["connect"].partition(":")[0],
        "stdlib": _standard_imports(parts),
        "device_imports": _device_imports(about["device"].split(), methods),
        "errors_import": _errors_import(methods),
        "units_import": _units_import(about.get("units", "")),
        "constants": _line(parts.text("constants")) + "\n\n" if parts.text("constants") else "",
        "config": parts.text("config", 8),
        "init": _line(parts.text("init", 8)),
        "methods": _line(methods),
        "setter": template("setter").substitute() if "self._set(" in methods else "",
        "wire_imports": "from functools import partial\n" if "partial(" in wire else "",
        "wire_constants": "\n" + _line(parts.text("wire_constants")) if parts.text("wire_constants") else "",
        "wire_state": _line(parts.text("wire_state", 8)),
        "wire_readings": _entries(parts.text("wire_readings", 12)),
        "wire_settings": _entries(parts.text("wire_settings", 12)),
        "wire_advanced": parts.text("wire_advanced", 8),
        **_wire_methods(parts),
        "settings": parts.text("settings"),
        "setpoint_import": ", Setpoint" if parts.text("setpoints") else "",
        "setpoints": _setpoints(parts),
        "under_test": parts.text("under_test", 4),
        "rig_settings": _line(parts.text("rig_settings", 6)),
        "transcript": parts.text("transcript"),
    }


def _line(text: str) -> str:
    """Give a text with its line end, and nothing for nothing."""
    return f"{text}\n" if text else ""


def _entries(text: str) -> str:
    """Give what stands between the braces of a dictionary."""
    return f"\n{text}\n        " if text else ""


def _wire_methods(parts: Parts) -> dict[str, str]:
    """Give the instrument's own methods, and the classes that stand behind it in the file."""
    methods, _, classes = parts.sections.get("wire_methods", "").partition("\nclass ")
    text = Parts({"methods": methods}).text("methods", 4)
    behind = f"class {classes}".strip("\n") if classes else ""
    return {
        "wire_methods": f"\n{text}\n" if text else "",
        "wire_classes": f"\n\n{behind}\n" if behind else "",
    }


def _setpoints(parts: Parts) -> str:
    text = parts.text("setpoints")
    if not text:
        return ""
    if "\n" not in text:
        return f"    setpoints = ({text})\n"
    return f"    setpoints = (\n{parts.text('setpoints', 8)}\n    )\n"


def _standard_imports(parts: Parts) -> str:
    typing = ["Annotated", "ClassVar"] + (["Literal"] if "Literal[" in parts.text("config") else [])
    return f"import time\nfrom collections.abc import Callable\nfrom typing import {', '.join(typing)}\n"


def _device_imports(named: list[str], methods: str) -> str:
    names = _ALWAYS | set(named) | ({"limited"} if "limited(" in methods else set())
    return "\n".join(f"    {one}," for one in sorted(names))


def _errors_import(methods: str) -> str:
    names = ["DeviceIdentityError", "DeviceProtocolError", "DeviceRefused"]
    return ", ".join(names + (["LimitError"] if "LimitError(" in methods else []))


def _units_import(units: str) -> str:
    return f"from evapd.units import {', '.join(units.split())}\n" if units else ""
