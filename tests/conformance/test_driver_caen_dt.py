"""CAEN supplies: codec against literal bytes, behaviour against a scripted unit. What every driver keeps is in the kit."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.instruments.caen_dt import CaenDesktop, CaenSupply
from evapd.device.conformance import conformance_tests
from evapd.device.probe import probe
from evapd.errors import DeviceError, DeviceProtocolError, DeviceRefused
from evapd_drivers.hv import caen_dt as codec
from evapd_drivers.hv.caen_dt import CaenDt
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

test_conformance_without_board_and_channel = conformance_tests(CaenDesktop)

REQUEST = re.compile(r"\$BD:00,CMD:(MON|SET)(?:,CH:0)?,PAR:([A-Z]+)(?:,VAL:(.+))?")


class Unit:
    """Parameters of a unit in remote, output off, 700 V still set."""

    def __init__(self):
        self.values = {
            "BDNAME": "DT1470ET", "BDSNUM": "79", "BDFREL": "1.04", "BDCTR": "REMOTE", "BDILK": "NO", "BDALARM": "00000", "STAT": "00000",
            "VSET": "0700.0", "ISET": "0100.00", "VMON": "0001.0", "IMON": "000.010", "POL": "+", "RUP": "050", "RDW": "050", "PDWN": "KILL",
        }  # fmt: skip
        self.peer = Peer(self.answer)

    @property
    def status(self):
        return int(self.values["STAT"])

    def answer(self, line):
        command, parameter, value = REQUEST.fullmatch(line.decode()).groups()
        if command == "MON":
            known = parameter in self.values
            return (
                f"#BD:00,CMD:OK,VAL:{self.values[parameter]}\r\n".encode() if known else b"#BD:00,PAR:ERR\r\n"
            )
        effect = {"ON": self.status | 1, "OFF": self.status & ~1, "BDCLR": self.status & ~128}
        if parameter in effect:
            self.values["STAT"] = f"{effect[parameter]:05d}"
        else:
            self.values[parameter] = value
        return b"#BD:00,CMD:OK\r\n"


@pytest.fixture
def unit():
    return Unit()


@pytest.fixture
def make(unit, tmp_path):
    with drivers_at(unit.peer, tmp_path, CaenDt, v_max_v="3 kV", i_max_a="100 uA") as make_:
        yield make_


def sets(unit):
    return [line.decode().partition("PAR:")[2] for line in unit.peer.heard if b"CMD:SET" in line]


@pytest.mark.parametrize(
    ("line", "value"),
    [(b"#BD:00,CMD:OK,VAL:0700.0", b"0700.0"), (b"#CMD:OK,VAL:00001;", b"00001"), (b"#BD:00,CMD:OK", b""), (b"#CMD:OK,VAL:-", b"-"),
     (b"#BD:0,CMD:OK,VAL:DT1470ET", b"DT1470ET")],
)  # fmt: skip
def test_replies_are_read_as_units_gave_them(line, value):
    assert codec.decode(line, 0) == value


@pytest.mark.parametrize(
    "line",
    [b"", b"BD:00,CMD:OK,VAL:19198", b"#BD:00,CMD:OK,VAL", b"#BD:00,CMD:OK,VAL:", b"#BD:01,CMD:OK,VAL:1", b"#BD:00,CM", b"#BD:00,PAR:OK",
     b"$BD:00,CMD:MON,PAR:BDNAME", b"#BD:00,CMD:OK,VAL:1,VAL:2"],
)  # fmt: skip
def test_anything_else_is_never_a_reply(line):
    with pytest.raises(DeviceProtocolError):
        codec.decode(line, 0)


@pytest.mark.parametrize(
    ("field", "words"),
    [("LOC", "LOCAL"), ("VAL", "MAXV"), ("CH", "channel"), ("PAR", "parameter"), ("CMD", "understood")],
)
def test_errors_are_refusals_in_words(field, words):
    for line in (f"#BD:00,{field}:ERR", f"#{field}:ERR"):
        with pytest.raises(DeviceRefused, match=words):
            codec.decode(line.encode(), 0)


def test_zeros_in_front_are_not_octal():
    assert codec.decode_word(b"02048") == 2048
    assert codec.decode_number(b"0700.0", codec.MAX_V) == 700.0


@given(st.binary(max_size=40))
def test_random_replies_are_a_value_in_physical_range_or_a_device_error(value):
    for decode in (lambda text: abs(codec.decode_number(text, codec.MAX_V)) <= codec.MAX_V,
                   lambda text: 0 <= codec.decode_word(text) < 10**6,
                   lambda text: codec.decode_polarity(text) in {"positive", "negative"},
                   lambda text: isinstance(codec.decode(b"#BD:00,CMD:OK,VAL:" + text, 0), bytes)):  # fmt: skip
        with contextlib.suppress(DeviceError):
            assert decode(value)


def test_opening_only_asks(make, unit):
    identity = make(opened=False).open()
    assert (identity.vendor, identity.model, identity.serial, identity.firmware) == (
        "CAEN",
        "DT1470ET",
        "79",
        "1.04",
    )
    assert not sets(unit)


@pytest.mark.parametrize(
    ("status", "told"),
    [(1, {"output_on": True}), (3, {"ramping": True}), (4, {"ramping": True, "output_on": False}), (9, {"current_limited": True}),
     (128, {"tripped": True}), (512, {"tripped": True}), (2048, {"inhibited": True}), (4096, {"interlock_open": True}),
     (0, {"tripped": False, "interlock_open": False, "inhibited": False, "remote": True})],
)  # fmt: skip
def test_the_status_word_is_told(make, unit, status, told):
    driver = make()
    unit.values["STAT"] = f"{status:05d}"
    reading = driver.read()
    assert {name: getattr(reading, name) for name in told} == told


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [("BDCTR", "LOCAL", {"remote": False}), ("BDILK", "YES", {"interlock_open": True}), ("BDALARM", "00001", {"tripped": True}),
     ("BDALARM", "00002", {"tripped": False})],
)  # fmt: skip
def test_what_the_board_tells_is_in_the_reading(make, unit, parameter, value, told):
    driver = make()
    unit.values[parameter] = value
    reading = driver.read()
    assert {name: getattr(reading, name) for name in told} == told


def test_what_a_unit_does_not_know_is_asked_once(make, unit):
    for parameter in ("BDCTR", "BDILK", "BDALARM", "BDFREL"):
        del unit.values[parameter]
    driver = make()
    reading = driver.read()
    assert reading.remote is None
    assert not any(b"PAR:BD" in line for line in unit.peer.heard)


def test_magnitudes_carry_the_sign_of_the_polarity(make, unit):
    unit.values["POL"] = "-"
    driver = make(polarity="negative")
    driver.set_voltage(-1000.0)
    assert unit.values["VSET"] == "1000.0"
    assert (driver.read().v_set_v, driver.read().v_meas_v, driver.read().i_meas_a) == (
        -1000.0,
        -1.0,
        pytest.approx(-1e-8),
    )


def test_the_wrong_polarity_is_refused_before_anything_is_set(make, unit):
    driver = make(polarity="negative")
    for call in (lambda: driver.set_voltage(-10.0), lambda: driver.output(True)):
        with pytest.raises(DeviceRefused, match="polarity"):
            call()
    assert not sets(unit)


def test_sets_are_acknowledged_and_read_back(make, unit):
    driver = make()
    driver.set_voltage(1234.56)
    driver.set_slew(99.6)
    driver.set_current_limit(50e-6)
    assert sets(unit) == ["VSET,VAL:1234.6", "RUP,VAL:100", "RDW,VAL:100", "ISET,VAL:50.00"]


def test_a_set_that_is_clipped_is_a_refusal(make, unit):
    driver = make()
    unit.peer.faults[b"$BD:00,CMD:SET,CH:0,PAR:VSET,VAL:1000.0"] = b"#BD:00,CMD:OK\r\n"
    with pytest.raises(DeviceRefused, match="reads 700 after 1000"):
        driver.set_voltage(1000.0)


def test_switching_on_puts_the_power_down_mode_back_and_waits_until_it_is_on(make, unit):
    driver = make()
    driver.output(True)
    assert sets(unit) == ["PDWN,VAL:RAMP", "ON"]


def test_an_output_that_stays_off_says_what_the_unit_tells(make, unit):
    driver = make()
    unit.values["STAT"] = "01024"
    unit.peer.faults[b"$BD:00,CMD:SET,CH:0,PAR:ON"] = b"#BD:00,CMD:OK\r\n"
    with pytest.raises(DeviceRefused, match="DISABLED"):
        driver.output(True)


def test_a_trip_is_cleared_by_switching_on_and_by_nothing_else(make, unit):
    driver = make()
    unit.values["STAT"] = "00128"
    for call in (
        driver.read,
        lambda: driver.set_voltage(5.0),
        driver.make_safe,
        lambda: driver.output(False),
    ):
        call()
        assert unit.status & 128
    driver.output(True)
    assert unit.status == 1


@pytest.mark.parametrize("cause", [2048, 4096])
def test_a_trip_is_not_cleared_while_interlock_or_kill_stands(make, unit, cause):
    driver = make()
    unit.values["STAT"] = f"{128 | cause:05d}"
    with pytest.raises(DeviceRefused, match="nothing was cleared"):
        driver.output(True)
    assert not sets(unit)


@pytest.mark.parametrize("mode", ["KILL", "RAMP"])
def test_making_safe_is_power_down_mode_off_and_zero(make, unit, mode):
    driver = make(make_safe_by=mode)
    unit.values["STAT"] = "00001"
    driver.make_safe()
    assert sets(unit) == [f"PDWN,VAL:{mode}", "OFF", "VSET,VAL:0.0"]
    assert unit.status == 0


@pytest.mark.parametrize("fault", [b"#BD:00,PAR:ERR\r\n", b"garbage\r\n", b"", b"#BD:00,CMD:OK,VAL:5\r\n"])
def test_making_safe_sends_every_step_whatever_the_first_answers(make, unit, fault):
    driver = make()
    unit.values["STAT"] = "00001"
    unit.peer.faults[b"$BD:00,CMD:SET,CH:0,PAR:PDWN,VAL:KILL"] = fault
    with pytest.raises(DeviceError):
        driver.make_safe()
    driver.close()
    driver.open()
    assert (unit.status, unit.values["VSET"]) == (0, "0.0")


def test_making_safe_says_when_the_output_stays_on(make, unit):
    driver = make()
    unit.values["STAT"] = "00001"
    unit.peer.faults[b"$BD:00,CMD:SET,CH:0,PAR:OFF"] = b"#BD:00,CMD:OK\r\n"
    with pytest.raises(DeviceRefused, match="stays on"):
        driver.make_safe()


def test_a_probe_knows_units_with_and_without_boards(tmp_path):
    for number, kind in enumerate((CaenSupply, CaenDesktop)):
        instrument = kind()
        connect = instrument.start(f"unix:{tmp_path / str(number)}")
        try:
            found, _ = probe(connect)
        finally:
            instrument.stop()
        assert [(one.driver, one.identity.serial) for one in found] == [("caen-dt", "19198")]
