"""Range files: which stretches of m/q belong to which ion. RRNG and RNG, every problem named with its line.

RRNG: sections [Ions] (Number, Ion1=...) and [Ranges] (Number, Range1=low high Vol:... Name:... El:n Color:...). RNG: numbers of
elements and ranges, two lines per element (name; short name and colour), a line of dashes with the short names, and lines
`. low high n n n ...`; IVAS writes a second list of molecules behind, which says the same. Both as in Larson, Prosa, Ulfig, Geiser,
Kelly, "Local Electrode Atom Probe Tomography", Springer 2013, appendix A, and Miller, Forbes, "Atom-Probe Tomography",
Springer 2014. A decimal comma is read as a point.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evapd.errors import ConfigError

MAX_FILE_BYTES = 4 << 20
MAX_RANGES = 10_000
MAX_ATOMS = 99
MAX_DA = 10_000.0
_NUMBER = re.compile(r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?")
_ATOMS = re.compile(r"([^:]+):(\d+)")
_KEY = re.compile(r"\s*([A-Za-z]+)(\d*)\s*=\s*(.*?)\s*")
_ELEMENT = re.compile(r"[A-Z][a-z]?")
_COLOUR = re.compile(r"[0-9A-Fa-f]{6}")
_DASHES = re.compile(r"\s*-{2,}\s*(.*)")


@dataclass(frozen=True, slots=True)
class Range:
    """From `low_da` to below `high_da` counts as one ion; `atoms` are sorted by symbol and empty for a named unknown.

    `colour` is that of the file as `#rrggbb`, "" where it gives none.
    """

    low_da: float
    high_da: float
    atoms: tuple[tuple[str, int], ...]
    name: str = ""
    colour: str = ""

    @property
    def ion(self) -> str:
        """Such as `CrO2`, or the name of an unknown."""
        return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in self.atoms) or self.name or "?"

    @property
    def middle_da(self) -> float:
        """Middle of the range."""
        return 0.5 * (self.low_da + self.high_da)


@dataclass(frozen=True, slots=True)
class RangeFile:
    """Ranges, ascending and apart; `notes` say what was passed over."""

    path: Path
    ranges: tuple[Range, ...]
    notes: tuple[str, ...] = ()


class _Problems:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[str] = []

    def say(self, line: int, what: str) -> None:
        self.found.append(f"{self._path}:{line}: {what}" if line else f"{self._path}: {what}")

    def stop(self) -> None:
        if self.found:
            raise ConfigError("\n".join(self.found), self.found)


def load_ranges(path: Path) -> RangeFile:
    """Read a range file; its content tells which kind it is.

    Raises:
        ConfigError: when it cannot be read, is neither RRNG nor RNG, or has errors; all are listed as file:line.
    """
    problems = _Problems(path)
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else b""
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a .rrng or .rng file") from error
    if not data.strip() or b"\0" in data:
        raise ConfigError(f"{path} is empty, too large or no text; name a .rrng or .rng file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # names and comments of older Windows programs
    lines = {k: line.strip() for k, line in enumerate(text.splitlines(), start=1)}
    lines = {k: line for k, line in lines.items() if line and not line.startswith("#")}
    notes: list[str] = []
    if any(line.lower() in ("[ions]", "[ranges]") for line in lines.values()):
        found = _rrng(lines, problems)
    elif any(_DASHES.fullmatch(line) for line in lines.values()):
        found = _rng(lines, problems, notes)
    else:
        raise ConfigError(
            f"{path} is no range file: neither [Ions] and [Ranges] (RRNG) nor a line of dashes (RNG)"
        )
    problems.stop()
    if not found:
        raise ConfigError(f"{path} has no ranges")
    return RangeFile(path, _ordered(found, problems), tuple(notes))


def _ordered(found: Mapping[int, Range], problems: _Problems) -> tuple[Range, ...]:
    order = sorted(found.items(), key=lambda item: item[1].low_da)
    for (line, one), (other_line, other) in itertools.pairwise(order):
        if other.low_da < one.high_da:
            problems.say(
                other_line,
                f"range {other.low_da:g} to {other.high_da:g} Da overlaps that of line {line}, {one.low_da:g} to {one.high_da:g} Da: "
                "a hit would count twice; move an edge",
            )
    problems.stop()
    return tuple(each for _, each in order)


def _edges(low: str, high: str, line: int, problems: _Problems) -> tuple[float, float] | None:
    if not (_NUMBER.fullmatch(low) and _NUMBER.fullmatch(high)):
        problems.say(line, f"'{low} {high}' are not two masses in Da")
        return None
    low_da, high_da = float(low.replace(",", ".")), float(high.replace(",", "."))
    if not 0.0 <= low_da < high_da <= MAX_DA:
        problems.say(
            line, f"{low_da:g} to {high_da:g} Da is no range: wanted is 0 <= low < high <= {MAX_DA:g}"
        )
        return None
    return low_da, high_da


def _rrng(lines: Mapping[int, str], problems: _Problems) -> dict[int, Range]:
    section, wanted = "", {"ions": -1, "ranges": -1}
    found: dict[int, Range] = {}
    numbers: dict[str, set[str]] = {"ions": set(), "ranges": set()}
    for line, text in lines.items():
        if text.startswith("["):
            section = text.strip("[]").lower()
            continue
        match = _KEY.fullmatch(text)
        key = match.group(1).lower() if match else ""
        if match is None or section not in wanted or key not in ("number", section.removesuffix("s")):
            problems.say(line, f"'{text[:40]}' does not belong into section [{section}]")
            continue
        number, value = match.group(2), match.group(3)
        if key == "number":
            if not (value.isdecimal() and len(value) < 6):
                problems.say(line, f"Number={value[:20]} is no count")
            else:
                wanted[section] = int(value)
            continue
        if number in numbers[section]:
            problems.say(line, f"{match.group(1)}{number} is there twice")
        numbers[section].add(number)
        if key == "range" and (made := _rrng_range(value, line, problems)) is not None:
            found[line] = made
    for name, count in wanted.items():
        if count >= 0 and count != len(numbers[name]):
            problems.say(
                0,
                f"[{name.capitalize()}] says Number={count}, but has {len(numbers[name])}: is the file cut off?",
            )
    if len(numbers["ranges"]) > MAX_RANGES:
        problems.say(0, f"{len(numbers['ranges'])} ranges are more than {MAX_RANGES}")
    return found


def _rrng_range(value: str, line: int, problems: _Problems) -> Range | None:
    words = value.split()
    if len(words) < 2:
        problems.say(line, f"'{value[:40]}' has no two edges")
        return None
    edges = _edges(words[0], words[1], line, problems)
    atoms: dict[str, int] = {}
    name = colour = ""
    for word in words[2:]:
        key, _, content = word.partition(":")
        if key.lower() in ("color", "colour"):
            colour = f"#{content.lower()}" if _COLOUR.fullmatch(content) else ""
        elif key.lower() == "vol":
            continue
        elif key.lower() == "name":
            name = content
        elif (match := _ATOMS.fullmatch(word)) and _ELEMENT.fullmatch(match.group(1)):
            n = int(match.group(2)) if len(match.group(2)) < 5 else MAX_ATOMS + 1
            if n > MAX_ATOMS:
                problems.say(line, f"'{word[:40]}': more than {MAX_ATOMS} atoms of one element")
            elif n:
                atoms[match.group(1)] = atoms.get(match.group(1), 0) + n
        elif match:
            name = name or match.group(1)  # a name that is no element: counted, but not among the elements
        else:
            problems.say(line, f"'{word[:40]}' is neither El:n nor Vol:, Name: or Color:")
    if edges is None:
        return None
    if not atoms and not name:
        problems.say(line, f"range {edges[0]:g} to {edges[1]:g} Da belongs to no ion")
        return None
    return Range(*edges, tuple(sorted(atoms.items())), name, colour)


def _rng(lines: Mapping[int, str], problems: _Problems, notes: list[str]) -> dict[int, Range]:
    order = list(lines)
    head = lines[order[0]].split()
    if len(head) != 2 or not all(word.isdecimal() and len(word) < 6 for word in head):
        problems.say(order[0], f"'{lines[order[0]][:40]}' does not give the numbers of elements and ranges")
        return {}
    elements, ranges = int(head[0]), int(head[1])
    place = next(k for k, line in enumerate(order) if _DASHES.fullmatch(lines[line]))
    match = _DASHES.fullmatch(lines[order[place]])
    symbols = match.group(1).split() if match else []
    if len(symbols) != elements:
        problems.say(
            order[place], f"{len(symbols)} names stand behind the dashes, the first line says {elements}"
        )
        return {}
    if place != 1 + 2 * elements:
        problems.say(
            order[place], f"{place - 1} lines describe the elements, wanted are two for each of {elements}"
        )
    found: dict[int, Range] = {}
    colours = _rng_colours([lines[line].split() for line in order[2:place:2]])
    rows = order[place + 1 : place + 1 + ranges]
    if len(rows) < ranges:
        problems.say(
            0, f"the first line says {ranges} ranges, but there are {len(rows)}: is the file cut off?"
        )
    for line in rows:
        if (made := _rng_range(lines[line].split(), symbols, colours, line, problems)) is not None:
            found[line] = made
    rest = order[place + 1 + ranges :]
    if rest and "polyatomic" in lines[rest[0]].lower():
        notes.append(
            f"line {rest[0]} and what follows repeats the molecules (polyatomic extension) and was passed over"
        )
    elif rest:
        problems.say(rest[0], f"{len(rest)} lines follow the {ranges} ranges that the first line announces")
    return found


def _rng_colours(rows: list[list[str]]) -> dict[str, str]:
    """Colours by short name, from rows of a name and three parts of 0 to 1; what is none is passed over."""
    colours = {}
    for name, *parts in rows:
        if len(parts) == 3 and all(_NUMBER.fullmatch(part) for part in parts):
            levels = [min(max(float(part.replace(",", ".")), 0.0), 1.0) for part in parts]
            colours[name] = "#" + "".join(f"{round(255 * level):02x}" for level in levels)
    return colours


def _rng_range(
    words: list[str], symbols: list[str], colours: Mapping[str, str], line: int, problems: _Problems
) -> Range | None:
    if len(words) != 3 + len(symbols) or words[0] != ".":
        problems.say(line, f"wanted is '. low high' and {len(symbols)} counts, found are {len(words)} words")
        return None
    if not all(word.isdecimal() and int(word) <= MAX_ATOMS for word in words[3:] if len(word) < 5) or any(
        len(word) > 4 for word in words[3:]
    ):
        problems.say(line, f"counts of atoms must be whole numbers from 0 to {MAX_ATOMS}")
        return None
    edges = _edges(words[1], words[2], line, problems)
    if edges is None:
        return None
    counted = [(symbol, int(word)) for symbol, word in zip(symbols, words[3:], strict=True) if int(word)]
    atoms = tuple(sorted((symbol, n) for symbol, n in counted if _ELEMENT.fullmatch(symbol)))
    name = " ".join(symbol for symbol, _ in counted if not _ELEMENT.fullmatch(symbol))
    if not counted:
        problems.say(line, f"range {edges[0]:g} to {edges[1]:g} Da belongs to no ion")
        return None
    return Range(*edges, atoms, name, colours.get(counted[0][0], "") if len(counted) == 1 else "")
