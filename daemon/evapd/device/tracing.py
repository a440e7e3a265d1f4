"""The bytes of a process' devices, switched on at run time and written down in pieces as events of kind `trace`."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from evapd.device.trace import ByteTrace, Piece
from evapd.device.transport import Clock
from evapd.errors import StateError
from evapd.units import US_PER_S

KIND = "trace"
LONGEST_S = (
    600.0  # then a trace ends by itself: one that was forgotten would fill the disk, some 0.5 GB a day
)


class Traces:
    """One `ByteTrace` per device; all off at first."""

    def __init__(self, names: Iterable[str], clock: Clock = time.monotonic) -> None:
        self._traces = {name: ByteTrace(name, clock) for name in names}
        self._clock = clock
        self._since_s: dict[str, float] = {}

    def of(self, name: str) -> ByteTrace:
        """Give the trace of a device, for `build_device`."""
        return self._traces[name]

    def has(self, name: str) -> bool:
        """Whether that device is one of these."""
        return name in self._traces

    @property
    def on(self) -> list[str]:
        """Devices whose bytes are being kept."""
        return [name for name, trace in self._traces.items() if trace.on]

    def switch(self, name: str, *, on: bool) -> list[str]:
        """Begin, or end, keeping the bytes of a device; gives all whose bytes are kept.

        Raises:
            StateError: when there is no such device.
        """
        if name not in self._traces:
            raise StateError(f"no device '{name}' here, there are {', '.join(self._traces) or 'none'}")
        self._traces[name].switch(on=on)
        self._since_s[name] = self._clock()
        return self.on

    def take(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what came since the last time, as a text and the details of an event per device; what is taken is forgotten."""
        for name, trace in self._traces.items():
            ended = trace.on and self._clock() - self._since_s[name] >= LONGEST_S
            if ended:
                trace.switch(on=False)
            pieces, dropped = trace.take()
            if pieces or dropped or ended:
                more = f", {dropped} older pieces did not fit" if dropped else ""
                more += (
                    f"; ended after {LONGEST_S / 60:g} min, `evapd trace {name} --on` begins again"
                    if ended
                    else ""
                )
                yield (
                    f"{name}: {len(pieces)} pieces{more}",
                    {"device": name, "dropped": dropped, "pieces": [_document(piece) for piece in pieces]},
                )


def _document(piece: Piece) -> list[Any]:
    """Give monotonic time in us, direction, bytes as characters U+0000 to U+00FF, and how many there were."""
    return [round(piece.t_mono_s * US_PER_S), piece.direction, piece.data.decode("latin-1"), piece.length]


def lines(event: dict[str, Any]) -> Iterator[str]:
    """Give a line per piece of such an event, as a person reads it."""
    for t_us, direction, text, length in event["pieces"]:
        yield f"{event['device']} {Piece(t_us / US_PER_S, direction, text.encode('latin-1'), length)}"
