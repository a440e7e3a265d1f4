"""The kit finds the faults that drivers have: each of these supplies breaks one law, and the check of that law says so."""

import dataclasses
import math
from pathlib import Path

import pytest

from conformance.instruments.fug_probus import FugProbusSupply
from conformance.instruments.tdc_stream import TdcStreamTdc
from evapd.device.conformance import InstrumentUnderTest, Nonconformance, run_check
from evapd.device.link import Link
from evapd.device.protocols import HighVoltageSupply
from evapd.device.readings import HighVoltageReading
from evapd.errors import DeviceError, DeviceProtocolError, DeviceRefused, DeviceTimeout
from evapd_drivers.hv.fug_probus import FugProbus, decode_identity, encode_set
from evapd_drivers.tdc.tdc_stream import TdcStream


class OpensInItsConstructor(FugProbus):
    def __init__(self, config, **keywords):
        super().__init__(config, **keywords)
        self.open()


class SwitchesOnAtOpen(FugProbus):
    def open(self):
        identity = super().open()
        self.output(True)
        return identity


class KeepsItsOutputAtOpen(FugProbus):
    """Somebody left a set point: switching on at open puts it out."""

    def open(self):
        identity = super().open()
        self._link.ask(b">BON 1\n")
        return identity


class ChecksTooLate(FugProbus):
    def set_voltage(self, v_v):
        self._link.send(encode_set("S0", v_v))
        super().set_voltage(v_v)


class TakesNan(FugProbus):
    def set_voltage(self, v_v):
        if not math.isnan(v_v):
            super().set_voltage(v_v)


class Remembers(FugProbus):
    """It gives its first reading again and again, with a new time."""

    kept = None

    def read(self):
        self.kept = self.kept or super().read()
        return dataclasses.replace(self.kept, t_mono_s=self._clock())


class StampsLate(FugProbus):
    def read(self):
        return dataclasses.replace(super().read(), t_mono_s=self._clock() - 10.0)


class SaysNan(FugProbus):
    def read(self):
        return dataclasses.replace(super().read(), i_meas_a=math.nan)


class SwallowsSilence(FugProbus):
    last = None

    def read(self):
        try:
            self.last = super().read()
        except DeviceTimeout:
            return self.last
        return self.last


class WaitsTooLong(FugProbus):
    def _value(self, register, limit):
        for _ in range(5):
            try:
                return super()._value(register, limit)
            except DeviceTimeout:
                continue
        return super()._value(register, limit)


class CallsNoiseZero(FugProbus):
    def read(self):
        try:
            return super().read()
        except (DeviceProtocolError, DeviceTimeout):
            return HighVoltageReading(
                t_mono_s=self._clock(), v_set_v=0.0, v_meas_v=0.0, i_meas_a=0.0, output_on=False
            )


class TakesHalves(FugProbus):
    def _value(self, register, limit):
        try:
            return super()._value(register, limit)
        except DeviceTimeout:
            if not self._link._buffer:
                raise
            return 0.0


class CrashesOnNoise(FugProbus):
    def _value(self, register, limit):
        return float(self._link.ask(f">{register} ?\n".encode()).partition(b":")[2])


class StaysOnTheLine(FugProbus):
    """It neither closes nor asks again who is there nor drops what came unasked: what is late answers the next question."""

    identity = None
    left = []

    def open(self):
        self.identity = self.identity or super().open()
        self.left.append(self)
        return self.identity

    def close(self):
        pass

    def _value(self, register, limit):
        self._link.transport.write(f">{register} ?\n".encode())
        name, _, value = self._link.line(alone=False).partition(b":")
        return float(value) if name == register.encode() else 0.0


class IgnoresItsSerialNumber(FugProbus):
    def open(self):
        with self._link.opening():
            return decode_identity(self._link.ask(b"*IDN?\n"))


class BelievesAcknowledgements(FugProbus):
    def _set(self, register, value, limit, tolerance):
        self._acknowledged(encode_set(register, value))


class DoesNothingToBeSafe(FugProbus):
    def make_safe(self):
        pass


class GivesUpBeingSafe(FugProbus):
    """It waits for every answer, and ends at the first that is wrong."""

    def make_safe(self):
        self._acknowledged(encode_set("S0B", 0))
        self._acknowledged(encode_set("S0", 0))
        self._acknowledged(encode_set("BON", 0))


class PretendsToBeSafe(FugProbus):
    def make_safe(self):
        try:
            super().make_safe()
        except DeviceRefused:
            return


class PretendsOnABadCable(FugProbus):
    def make_safe(self):
        try:
            super().make_safe()
        except DeviceError:
            return


class PretendsWithoutALink(FugProbus):
    def make_safe(self):
        if self._link._transport is not None:
            super().make_safe()


class Leaks(FugProbus):
    left = []

    def open(self):
        self.left.append(Path("/dev/null").open("rb"))  # noqa: SIM115 - the fault
        return super().open()


class RaisesAtClose(FugProbus):
    def close(self):
        self._link.transport.close()
        self._link.close()


class LacksASetting:
    protocol, Config = HighVoltageSupply, FugProbus.Config

    def __init__(self, config):
        pass

    def close(self):
        pass


class DeniesTrips(FugProbus):
    def read(self):
        return dataclasses.replace(super().read(), tripped=False)


@pytest.fixture
def clear_up():
    yield
    for driver in StaysOnTheLine.left:
        FugProbus.close(driver)
    for file in Leaks.left:
        file.close()
    StaysOnTheLine.left.clear()
    Leaks.left.clear()


@pytest.mark.parametrize(
    ("driver", "check"),
    [
        (OpensInItsConstructor, "constructor_touches_nothing"),
        (SwitchesOnAtOpen, "open_never_energises"),
        (KeepsItsOutputAtOpen, "open_never_energises"),
        (ChecksTooLate, "limits_are_refused_before_a_byte_is_sent"),
        (TakesNan, "limits_are_refused_before_a_byte_is_sent"),
        (Remembers, "readings_follow_the_instrument"),
        (LacksASetting, "fulfils_its_protocol"),
        (StampsLate, "readings_carry_their_time"),
        (SaysNan, "readings_carry_their_time"),
        (SwallowsSilence, "silence_is_a_timeout"),
        (WaitsTooLong, "silence_is_a_timeout"),
        (CallsNoiseZero, "garbage_is_never_a_reading"),
        (CallsNoiseZero, "random_bytes_are_never_a_reading"),
        (TakesHalves, "half_a_reply_is_never_a_reading"),
        (CrashesOnNoise, "spoilt_replies_never_crash_it"),
        (StaysOnTheLine, "a_closed_link_is_lost"),
        (StaysOnTheLine, "a_late_reply_answers_nothing"),
        (IgnoresItsSerialNumber, "another_unit_is_refused"),
        (BelievesAcknowledgements, "local_mode_refuses"),
        (DoesNothingToBeSafe, "make_safe_ends_the_energy"),
        (GivesUpBeingSafe, "make_safe_goes_through_a_bad_cable"),
        (GivesUpBeingSafe, "make_safe_never_pretends"),
        (PretendsToBeSafe, "make_safe_never_pretends"),
        (PretendsOnABadCable, "make_safe_goes_through_a_bad_cable"),
        (PretendsWithoutALink, "a_closed_link_is_lost"),
        (Leaks, "nothing_leaks"),
        (RaisesAtClose, "close_is_idempotent"),
        (DeniesTrips, "a_trip_is_told"),
    ],
)
def test_a_faulty_driver_does_not_pass(driver, check, monkeypatch, clear_up):
    monkeypatch.setattr("evapd.device.conformance.bench.PATIENCE_S", 0.5)
    # More than usual: what the instrument answers is a little different every time.
    monkeypatch.setenv("EVAPD_CONFORMANCE_REPLIES", "400")
    faulty = type("Faulty", (FugProbusSupply,), {"driver": driver})
    with pytest.raises(Nonconformance):
        run_check(faulty, check)


class EchoLink(Link):
    """Of an instrument that sends back what it hears."""

    def ask(self, data):
        self.send(data)
        if self.line(alone=False) != data.strip():
            raise DeviceProtocolError("it heard something else")
        return self.line()


class BlindEchoLink(EchoLink):
    def ask(self, data):
        self.send(data)
        self.line(alone=False)
        return self.line()


def echoing(link):
    class Driver(FugProbus):
        def __init__(self, config, *, transport_factory, clock):
            super().__init__(config, transport_factory=transport_factory, clock=clock)
            self._link = link(config, transport_factory, clock)

    class Echoing(FugProbusSupply):
        driver, echoes = Driver, True

        def start(self, endpoint):
            address = super().start(endpoint)
            self.server.echo = True
            return address

    return Echoing


def test_an_echo_that_nobody_compares_is_found():
    assert not run_check(echoing(EchoLink), "a_wrong_echo_is_an_error")
    with pytest.raises(Nonconformance, match="with a wrong echo"):
        run_check(echoing(BlindEchoLink), "a_wrong_echo_is_an_error")


class SleepingTdc(TdcStream):
    def read_block(self, timeout_s):
        return None


class CountsOn(TdcStream):
    """Its pulse numbers go on where the last arming ended."""

    armings = 0

    def arm(self):
        super().arm()
        self.armings += 1

    def read_block(self, timeout_s):
        block = super().read_block(timeout_s)
        shift = 1000 * (self.armings - 1)
        return block and dataclasses.replace(
            block, first_pulse=block.first_pulse + shift, last_pulse=block.last_pulse + shift
        )


@pytest.mark.parametrize(
    ("driver", "check"),
    [(SleepingTdc, "heartbeats_come_without_words"), (CountsOn, "arming_begins_at_pulse_zero")],
)
def test_a_faulty_tdc_does_not_pass(driver, check):
    with pytest.raises(Nonconformance):
        run_check(type("Faulty", (TdcStreamTdc,), {"driver": driver}), check)


@pytest.mark.parametrize(
    ("skips", "check", "why"),
    [
        ({"open_never_energises": "it is too slow"}, "open_never_energises", "a safety check: it cannot be"),
        ({"readings_follow_the_instrument": " "}, "readings_follow_the_instrument", "without a reason"),
    ],
)
def test_what_may_not_be_skipped_is_not_skipped(skips, check, why):
    driver = type("Skips", (FugProbus,), {"conformance_skips": skips})
    with pytest.raises(Nonconformance, match=why):
        run_check(type("Skipping", (FugProbusSupply,), {"driver": driver}), check)


def test_a_skipped_check_gives_the_reason_of_the_drivers_source():
    driver = type(
        "Skips", (FugProbus,), {"conformance_skips": {"readings_follow_the_instrument": "no panel"}}
    )
    assert run_check(
        type("Skipping", (FugProbusSupply,), {"driver": driver}), "readings_follow_the_instrument"
    ) == ("no panel")


def test_a_driver_of_no_known_protocol_is_told_which_there_are():
    driver = type("Unknown", (FugProbus,), {"protocol": int})
    with pytest.raises(LookupError, match="must be one of HighVoltageSupply, Pulser"):
        run_check(type("Undescribed", (FugProbusSupply,), {"driver": driver}), "close_is_idempotent")


def test_a_check_that_does_not_exist_cannot_be_skipped():
    driver = type("Skips", (FugProbus,), {"conformance_skips": {"open_never_energizes": "spelt otherwise"}})
    with pytest.raises(Nonconformance, match="there is no such check"):
        run_check(type("Skipping", (FugProbusSupply,), {"driver": driver}), "close_is_idempotent")


@pytest.mark.parametrize(
    ("hook", "check"), [("alter", "readings_follow_the_instrument"), ("trip", "a_trip_is_told")]
)
def test_what_a_description_lacks_is_asked_for(hook, check):
    lacking = type("Lacking", (FugProbusSupply,), {hook: getattr(InstrumentUnderTest, hook)})
    with pytest.raises(Nonconformance, match=f"Lacking offers no {hook} for {check}: simulate it"):
        run_check(lacking, check)
