"""The language of iseg's EDCP SCPI: short and long words, several commands in a line, lists of channels.

Source: iseg SCPI programmer's guide as open clients quote it. Both spellings of a word that clients use are read.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

_PHRASE = re.compile(r"(?P<header>[:*]?[A-Z][A-Z0-9_:]*)(?P<asks>\?)?(?P<rest>[^?]*)", re.ASCII)
_CHANNELS = re.compile(r"\(@(?P<list>[0-9,. -]*)\)", re.ASCII)
_RANGE = re.compile(r"(?P<low>[0-9]{1,2})(?:(?:-|\.\.)(?P<high>[0-9]{1,2}))?", re.ASCII)
_SHORT = {
    "VOLTAGE": "VOLT", "CURRENT": "CURR", "CONFIGURE": "CONF", "MEASURE": "MEAS", "MODULE": "MOD", "CHANNEL": "CHAN",
    "CHANNELNUMBER": "CHAN", "STATUS": "STAT", "EVENT": "EV", "CONTROL": "CONT", "CONTR": "CONT", "LIMIT": "LIM",
    "NOMINAL": "NOM", "BOU": "BOUNDS", "OUTPUT": "OUTP", "POLARITY": "POL", "TEMPERATURE": "TEMP", "SUPPLY": "SUP",
    "FIRMWARE": "FIRM", "RELEASE": "REL", "ACTION": "ACT", "INH": "INHP", "INHIBIT": "INHP", "AVERAGE": "AVER",
    "ADJ": "ADJUST", "SER": "SERIAL", "SYST": "SYS", "SYSTEM": "SYS", "BAUDRATE": "BAUD", "INST": "INSTR",
}  # fmt: skip
_WHOLE = {"SYS:USER:CONF": "SYS:USER:CONFIG"}  # CONF means CONFIGURE at the beginning only


@dataclass(frozen=True, slots=True)
class Phrase:
    """One command or question.

    Attributes:
        path: the words in short form, `READ:CHAN:STAT`.
        asks: whether it is a question.
        argument: what stands between the words and the list, in capitals, `EMCY OFF`.
        channels: numbers of the list `(@0-2,5)`; None where there is none.
    """

    path: str
    asks: bool
    argument: str
    channels: tuple[int, ...] | None


def read_line(line: str, known: Container[str]) -> list[Phrase | None]:
    """Read the commands of a line, joined by semicolons; None for one that is no command at all.

    Behind a semicolon words without a colon go on where the command before them stood, `:CONF:SERIAL:BAUD 115200;BAUD?`, if
    that is a command in `known`.
    """
    phrases: list[Phrase | None] = []
    parent = ""
    for text in line.upper().split(";"):
        if not text.strip():
            continue
        phrase = _phrase(text.strip(), parent, known)
        if phrase is not None and not phrase.path.startswith("*"):
            parent = phrase.path.rpartition(":")[0]
        phrases.append(phrase)
    return phrases


def _phrase(text: str, parent: str, known: Container[str]) -> Phrase | None:
    found = _PHRASE.fullmatch(text)
    if found is None:
        return None
    header, rest = found["header"], found["rest"]
    path = ":".join(_SHORT.get(word, word) for word in header.strip(":").split(":"))
    path = _WHOLE.get(path, path)
    if parent and not header.startswith((":", "*")) and f"{parent}:{path}" in known:
        path = f"{parent}:{path}"
    channels = None
    if listed := _CHANNELS.search(rest):
        channels = _channels(listed["list"])
        if channels is None:
            return None
        rest = rest[: listed.start()] + rest[listed.end() :]
    return Phrase(path, bool(found["asks"]), rest.strip(" ,").replace("_", " "), channels)


def _channels(text: str) -> tuple[int, ...] | None:
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        found = _RANGE.fullmatch(part)
        if found is None:
            return None
        low = int(found["low"])
        numbers += range(low, int(found["high"] or low) + 1)
    return tuple(dict.fromkeys(numbers)) or None
