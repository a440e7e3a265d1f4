"""Log records that say the same again and again: the first is written, the others are counted, the count is told."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

EVERY_S = 5.0
_KEYS = 64
_BURST = 1_000
_PER_S = 200.0


@dataclass(slots=True)
class _Said:
    record: logging.LogRecord
    since_s: float
    again: int = 0


class Repeats:
    """Lets a record through unless the same one was written less than 5 s ago, and at most 200 a second in the long run.

    Used by one thread. `clock` gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: OrderedDict[tuple[str, int, str], _Said] = OrderedDict()
        self._room, self._asked_s = float(_BURST), clock()
        self._left_out = 0

    def pass_on(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """Give what is to be written now that this record came."""
        now_s, key = self._clock(), (record.name, record.levelno, record.getMessage())
        out = self.due()
        said = self._said.get(key)
        if said is not None and record.exc_text == said.record.exc_text:
            said.again += 1
            return out
        self._room = min(_BURST, self._room + (now_s - self._asked_s) * _PER_S)
        self._asked_s = now_s
        if self._room < 1.0:
            self._left_out += 1
            return out
        self._room -= 1.0
        self._said[key] = _Said(record, now_s)
        if len(self._said) > _KEYS:
            out += _summary(self._said.popitem(last=False)[1])
        if self._left_out:
            out.append(
                _like(
                    record,
                    f"{self._left_out} log lines were left out: more than {_PER_S:g} in a second",
                    logging.WARNING,
                )
            )
            self._left_out = 0
        return [*out, record]

    def due(self, *, everything: bool = False) -> list[logging.LogRecord]:
        """Give the counts whose time has come; `everything`: it is the end."""
        now_s, out = self._clock(), []
        for key, said in list(self._said.items()):
            if not everything and now_s - said.since_s < EVERY_S:
                continue
            out += _summary(said)
            if said.again and not everything:
                said.since_s, said.again = now_s, 0  # it goes on: the next count in another 5 s
            else:
                del self._said[key]
        if everything and self._left_out:
            out.append(
                _like(
                    logging.makeLogRecord({"name": "evapd"}),
                    f"{self._left_out} log lines were left out",
                    logging.WARNING,
                )
            )
            self._left_out = 0
        return out


def _summary(said: _Said) -> list[logging.LogRecord]:
    if not said.again:
        return []
    times = "once" if said.again == 1 else f"{said.again} times"
    return [
        _like(
            said.record,
            f"last message repeated {times}: {said.record.getMessage()[:200]}",
            said.record.levelno,
        )
    ]


def _like(record: logging.LogRecord, text: str, level: int) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": record.name, "levelno": level, "levelname": logging.getLevelName(level), "msg": text}
    )
