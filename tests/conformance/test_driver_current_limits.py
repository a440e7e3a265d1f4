"""Every supply is switched on with a current limit above 0 and within `i_max_a`, and one that was lowered by hand stays."""

import re
from typing import NamedTuple

import pytest

from evapd.config.plugins import INSTALLED
from evapd.device.transport import BufferedTransport, Terms
from evapd.errors import DeviceTimeout
from evapd_drivers.hv import glassman, spellman_xrv
from evapd_drivers.hv.limit import limit_due
from evapd_sim.plant import Plant
from evapd_sim.wire.registry import make_wire

I_MAX_A = 2e-4


class Case(NamedTuple):
    """How a supply is told and asked its limit in bytes, and what one of its units is in A."""

    told: str | None
    asked: str | None
    unit_a: float
    settings: dict
    wire: dict


RATED = {"rated_v": 15e3, "rated_a": 0.02}
CASES = {
    "fug-probus": Case(">S1 {}\n", ">S1 ?\n", 1.0, {}, {}),
    "iseg-shr": Case(":CURR {},(@0)\r\n", ":READ:CURR? (@0)\r\n", 1.0, {"echo": False}, {}),
    "caen-dt": Case("$BD:00,CMD:SET,CH:0,PAR:ISET,VAL:{:.2f}\r\n", "$BD:00,CMD:MON,CH:0,PAR:ISET\r\n", 1e-6, {}, {}),
    "srs-ps300": Case("ILIM {:.6f}\n", "ILIM?\n", 1.0, {}, {}),
    "heinzinger-pnc": Case("CURR {}\n", "CURR?\n", 1e-3, {}, {}),
    "spellman-xrv": Case("11,{:.0f}", "15", 0.0, {}, {}),
    "technix-sr": Case(None, None, 0.02 / 4095, RATED, RATED),
    "glassman": Case(None, None, 0.0, RATED, {}),
}  # fmt: skip


class Line(BufferedTransport):
    """A cable to a simulated instrument; while a driver waits, virtual time passes."""

    def __init__(self, supply):
        super().__init__("line", Terms(0.5, lambda: supply.now_s, None))
        self._supply, self._coming = supply, b""

    def _send(self, data, timeout_s):
        self._coming += self._supply.hear(data)

    def _receive(self, limit, timeout_s):
        if not self._coming and timeout_s > 0.0:
            raise DeviceTimeout("the instrument does not answer")
        data, self._coming = self._coming[:limit], self._coming[limit:]
        return data

    def _shut(self):
        self._coming = b""


class Supply:
    """One driver at its simulated instrument, and the instrument's limit past the driver."""

    def __init__(self, name):
        self.now_s, self.case, self.heard = 10.0, CASES[name], b""
        self.wire = make_wire(name, Plant(), **self.case.wire)
        self.wire.serial_line = False
        driver = INSTALLED.find_driver(name)
        settings = {"connect": "tcp:h:1", "v_max_v": 1000.0, "i_max_a": I_MAX_A, **self.case.settings}
        more = {"sleep": self.sleep} if name == "technix-sr" else {}
        self.driver = driver(
            driver.Config(**settings),
            transport_factory=lambda *_: Line(self),
            clock=lambda: self.now_s,
            **more,
        )
        self.spellman = name == "spellman-xrv"

    def sleep(self, seconds):
        self.now_s += seconds
        self.wire.advance(self.now_s)

    def hear(self, data):
        self.heard += data
        self.now_s += 0.01
        return self.wire.receive(data, self.now_s)

    def ask(self, text):
        if not self.spellman:
            return self.hear(text.encode())
        command, *counts = text.split(",")
        return self.hear(spellman_xrv.encode(int(command), *map(int, counts), signed=False))

    @property
    def unit_a(self):
        return self.driver._rated_a / 4095 if self.spellman else self.case.unit_a

    def leave(self, a):
        self.ask(self.case.told.format(a / self.unit_a))

    def limit_a(self):
        answer = self.ask(self.case.asked).decode().strip("\x02\x03")
        fields = re.findall(r"[+-]?[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?", answer)
        return float(fields[1] if self.spellman else fields[-1]) * self.unit_a


ASKED = [name for name, case in CASES.items() if case.asked]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(("left_a", "then_a"), [(0.0, I_MAX_A), (5e-4, I_MAX_A), (1e-4, 1e-4)])
def test_a_limit_of_zero_or_too_high_becomes_the_configured_one_and_a_lower_one_stays(name, left_a, then_a):
    supply = Supply(name)
    supply.driver.open()
    supply.leave(left_a)
    supply.driver.output(True)
    assert supply.limit_a() == pytest.approx(then_a, rel=0.03)


def test_technix_and_glassman_which_cannot_be_asked_get_the_configured_one():
    supply = Supply("technix-sr")
    supply.driver.open()
    supply.driver.output(True)
    assert b"d2,40\r" in supply.heard
    supply = Supply("glassman")
    supply.driver.open()
    supply.driver.output(True)
    assert glassman.encode_set(0, 40, glassman.ON) in supply.heard


def test_no_limit_is_programmed_above_the_configured_one():
    assert limit_due(0.0, 1e-3) == 1e-3
    assert limit_due(2e-3, 1e-3) == 1e-3
    assert limit_due(1e-3, 1e-3) is None
    assert limit_due(-4e-4, 1e-3) is None


def test_every_supply_is_among_the_cases():
    known = {
        name
        for name in INSTALLED.driver_names()
        if INSTALLED.find_driver(name).protocol.__name__ == "HighVoltageSupply"
    }
    assert known == set(CASES)
