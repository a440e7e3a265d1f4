"""Edwards TIC instrument controller, as its cable shows it: gauges, pumps, relays.

Source: Edwards D397-00-880, TIC serial communications, as open clients quote it. By practice only: digits of the values beside those of gauges, the list of object
940 (state and pressure of each gauge), and that a line which is neither a query nor a command gets no answer. The pumps are plausible ones and act on nothing.
"""

import math
import re
from collections.abc import Callable

from evapd_sim.plant import Plant
from evapd_sim.wire.base import LineWire
from evapd_sim.wire.numbers import read_integer

_LINE = re.compile(
    r"(?P<address>#[0-9]{2}:[0-9]{2})?(?P<kind>[?!][VSC])(?P<number>[0-9]{3})(?:\s+(?P<rest>.*))?", re.DOTALL
)
_INVALID, _MISSING, _RANGE, _STARTING = 1, 3, 4, 5
_GAUGES = {913: 1, 914: 2, 915: 3, 934: 4, 935: 5, 936: 6}
_RELAYS = (916, 917, 918)
_NO_READING = 9.9e9
_PASCAL = 59
# What the plant says of a gauge, and how this controller says it: state, alert, priority.
_STATUS = {
    0: (11, 0, 0),
    1: (11, 11, 1),
    2: (11, 10, 1),
    3: (4, 15, 3),
    4: (5, 0, 0),
    5: (0, 6, 0),
    6: (2, 9, 1),
}
_OFF, _ON, _DEGAS = 5, 11, 10
_STOPPED, _DELAYED, _BRAKING, _RUNNING, _FASTER = 0, 1, 3, 4, 5
_SPIN_S, _START_S = 60.0, 2.0  # time constant of the turbo, delay of its start


class EdwardsTicWire(LineWire):
    """A TIC 200. It shows `plant.pressure_pa` and `plant.gauge_status` of gauges 1, 2, and so on.

    Args:
        plant: the physical quantities.
        model: type in the identity.
        serial: serial number.
        firmware: software number.
        answers_identity: whether `?S902` is answered.
        end: of a reply, CR, or CR LF of some converters.
        baud: bit/s set in the controller.
    """

    max_length = 100
    tells_serial = True

    def __init__(
        self,
        plant: Plant,
        *,
        model: str = "TIC200",
        serial: str = "150326362",
        firmware: str = "D39700640S",
        answers_identity: bool = True,
        end: str = "\r",
        baud: int = 9600,
    ) -> None:
        super().__init__(plant, baud=baud)
        self._model, self._firmware = model, firmware
        self.answers_identity = answers_identity
        self.renumber(serial)
        self._end = end.encode("latin-1")
        self.starting_up = False
        self._switched: dict[int, int] = {}  # gauge: state that somebody switched it to
        self._relays = dict.fromkeys(_RELAYS, 0)
        self._turbo_on = self._backing_on = False
        self._standby = 0
        self._since_s = 0.0  # the turbo was switched
        self._speed_percent = 0.0
        self._setups: dict[int, str] = {929: "1", 930: "0", 928: "0"}
        self._values = self._make_values()

    def renumber(self, serial: str) -> None:
        """Become the unit `serial`."""
        self.identity = f"{self._model};{self._firmware};{serial};5.0"

    def _advanced(self, dt_s: float) -> None:
        self._since_s += dt_s
        goal = 100.0 * (self._turbo_on and self._since_s > _START_S) * (0.7 if self._standby else 1.0)
        self._speed_percent += (goal - self._speed_percent) * -math.expm1(-dt_s / _SPIN_S)

    def _too_long(self) -> bytes:
        return b""

    def _answer(self, line: str) -> bytes:
        found = _LINE.fullmatch(line.upper())
        if found is None:
            return b""
        kind, number, rest = found["kind"], int(found["number"]), (found["rest"] or "").strip()
        answer = (
            self._query(kind[1], number, rest) if kind[0] == "?" else self._command(kind[1], number, rest)
        )
        if answer is None:
            return b""
        head = f"{'*' if isinstance(answer, int) else '='}{kind[1]}{number} "
        return self._address(found["address"]) + f"{head}{answer}".encode("latin-1") + self._end

    @staticmethod
    def _address(address: str | None) -> bytes:
        """Of several controllers on a line the one that is meant answers, to the one who asked."""
        return f"#{address[4:]}:{address[1:3]}".encode() if address else b""

    def _query(self, kind: str, number: int, rest: str) -> str | int | None:
        """Give data, or an error, or None for silence."""
        if kind == "S" and number == 902:
            return self.identity if self.answers_identity else None
        if self.starting_up:
            return _STARTING
        if kind == "V":
            value = self._values.get(number)
            return _INVALID if value is None else value()
        if kind == "S" and number in {*self._values, *self._setups}:
            known = self._setups.get(number, "0")
            return f"{rest};{known}" if rest else known
        return _INVALID

    def _command(self, kind: str, number: int, rest: str) -> int:
        if self.starting_up:
            return _STARTING
        if not rest:
            return _MISSING
        if kind == "S":
            if number not in {*self._values, *self._setups} or number == 902:
                return _INVALID
            self._setups[number] = rest
            return 0
        value = read_integer(rest)
        if value is None:
            return _RANGE
        return self._switch(number, value) if kind == "C" else _INVALID

    def _switch(self, number: int, value: int) -> int:
        if number in _GAUGES:
            if value not in range(6):
                return _RANGE
            states = {0: _OFF, 5: _DEGAS}
            self._switched[_GAUGES[number]] = states.get(value, _ON)
            return 0
        if value not in {0, 1}:
            return _RANGE
        if number in _RELAYS:
            self._relays[number] = 4 * value
        elif number == 904:
            self._turbo_on, self._since_s = bool(value), 0.0
        elif number == 908:
            self._standby = value
        elif number == 910:
            self._backing_on = bool(value)
        elif number == 933:
            self._turbo_on = self._backing_on = bool(value)
            self._since_s = 0.0
        else:
            return _INVALID
        return 0

    def _gauge(self, gauge: int) -> tuple[float, int, int, int]:
        """Value in Pa, state, alert, priority."""
        state, alert, priority = _STATUS[self.plant.gauge_status.get(gauge, 5)]
        if state == _ON and gauge in self._switched:
            state = self._switched[gauge]
        value = self.plant.pressure_pa.get(gauge, _NO_READING) if state in {_ON, _DEGAS} else _NO_READING
        return (_NO_READING if alert == 10 else value), state, alert, priority

    def _turbo_state(self) -> int:
        if self._turbo_on:
            return (
                _DELAYED if self._since_s <= _START_S else _RUNNING if self._speed_percent > 80.0 else _FASTER
            )
        return _BRAKING if self._speed_percent > 5.0 else _STOPPED

    def _make_values(self) -> dict[int, Callable[[], str]]:
        def gauge(place: int) -> Callable[[], str]:
            def told() -> str:
                value, state, alert, priority = self._gauge(place)
                return f"{value:.4e};{_PASCAL};{state};{alert};{priority}"

            return told

        def relay(number: int) -> Callable[[], str]:
            return lambda: f"{self._relays[number]};0;0"

        def summary() -> str:
            gauges = [self._gauge(place) for place in (1, 2, 3)]
            worst = max(gauges, key=lambda one: one[3])
            states = [
                self._turbo_state(),
                _RUNNING * self._backing_on,
                *(one[1] for one in gauges),
                *self._relays.values(),
            ]
            return ";".join(map(str, [*states, worst[2], worst[3]]))

        return {
            902: summary,
            904: lambda: f"{self._turbo_state()};0;0",
            905: lambda: f"{self._speed_percent:.1f};0;0",
            906: lambda: f"{60.0 * self._turbo_on:.1f};0;0",
            907: lambda: f"{_RUNNING * (self._speed_percent > 80.0)};0;0",
            908: lambda: f"{_RUNNING * self._standby};0;0",
            909: lambda: "0;0;0;0",
            910: lambda: f"{_RUNNING * self._backing_on};0;0",
            911: lambda: f"{100.0 * self._backing_on:.1f};0;0",
            912: lambda: f"{250.0 * self._backing_on:.1f};0;0",
            919: lambda: "31;0;0",
            920: lambda: "29;0;0",
            933: lambda: f"{_RUNNING * (self._turbo_on and self._backing_on)};0;0",
            940: lambda: ";".join(
                f"{self._gauge(place)[1]};{self._gauge(place)[0]:.4e}" for place in (1, 2, 3)
            ),
            **{number: relay(number) for number in _RELAYS},
            **{number: gauge(place) for number, place in _GAUGES.items()},
        }
