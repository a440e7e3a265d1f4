"""What drivers of SCPI instruments share: flags, words, numbers, and the error queue.

Source: SCPI-1999 and IEEE 488.2: error/event queue, formats of responses. Codes from -100 to -499 are the standard's, positive ones the maker's.
"""

import re

from evapd.device.link import Link
from evapd.errors import DeviceProtocolError

QUEUE = 64  # no instrument here keeps more errors
ASK_ERROR = b"SYST:ERR?\n"
_ERROR = re.compile(rb'([+-]?[0-9]{1,5}) ?, ?"(.*)"')
_WORD = re.compile(rb"[A-Z][A-Z0-9]{1,15}")
_FLAGS = {b"1": True, b"ON": True, b"0": False, b"OFF": False}


def encode(header: str, value: str | float | None = None) -> bytes:
    """`FREQ 200000.000000` (a float in steps of 1e-6), `OUTP OFF`, or the question `OUTP?`."""
    text = "?" if value is None else f" {value:.6f}" if isinstance(value, float) else f" {value}"
    return f"{header}{text}\n".encode()


def decode_flag(line: bytes) -> bool:
    """`1` or `0`, `ON` or `OFF`."""
    flag = _FLAGS.get(line.strip().upper())
    if flag is None:
        raise DeviceProtocolError(f"{line!r} where 1 or 0 is due")
    return flag


def decode_word(line: bytes) -> str:
    """`PULS`: one word, in its short or long form."""
    word = line.strip().upper()
    if not _WORD.fullmatch(word):
        raise DeviceProtocolError(f"{line!r} where a word is due")
    return word.decode()


def decode_error(line: bytes) -> tuple[int, str]:
    """`+0,"No error"`, `-222,"Data out of range"`: code and text."""
    found = _ERROR.fullmatch(line.strip())
    if found is None:
        raise DeviceProtocolError(f"{line!r} where an error code and its text are due")
    return int(found[1]), found[2].decode("ascii", "replace")


def drain_errors(link: Link) -> str:
    """Empty the error queue and give what was in it, in words.

    Raises:
        DeviceProtocolError: when it does not end.
    """
    found: list[str] = []
    for _ in range(QUEUE + 1):
        code, text = decode_error(link.ask(ASK_ERROR))
        if code == 0:
            return ", ".join(found)
        found.append(f"error {code} ({text})")
    raise DeviceProtocolError(f"the error queue does not end after {QUEUE} entries")
