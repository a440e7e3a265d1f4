"""Modbus/TCP digital I/O against a scripted module: literal bytes, every exception, garbage, silence, half and late replies."""

import struct
import threading
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evapd.config.wiring import Contacts
from evapd.device import open_transport
from evapd.device.link import Link
from evapd.device.protocols import DigitalIo
from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceLost,
    DeviceProtocolError,
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.modbus_dio import ModbusDio
from evapd_drivers.modbus_link import ModbusClient, runs
from support.scripted_peer import SILENCE_S, SocketPeer
from support.wait import wait_for

TRANSCRIPT = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "wire/transcripts/modbus-dio.yaml").read_text(encoding="utf-8")
)
INPUTS = {
    "door": {"kind": "discrete", "address": 0},
    "water": {"kind": "discrete", "address": 1, "invert": True},
    "ups": {"kind": "register", "address": 5, "bit": 3},
}
OUTPUTS = {
    "heartbeat": {"kind": "coil", "address": 0, "safe": False},
    "crowbar": {"kind": "coil", "address": 2, "invert": True, "safe": True},
    "valve": {"kind": "register", "address": 6, "bit": 9, "safe": False},
}


class Module:
    """Inputs 0 and 1, coils 0 to 2, registers 5 and 6; function 43 tells a name. `faults[function]` is put in place of a reply's PDU."""

    def __init__(self):
        self.inputs, self.coils, self.registers = [1, 0], [0, 0, 0], {5: 0b1000, 6: 0xFFFF, 211: 0x6050}
        self.name = [b"Maker", b"DIO-8", b"1.2"]
        self.faults, self.written, self.asked = {}, [], []
        self.spoil = lambda frame: frame
        self.rest = b""

    def feed(self, data):
        self.rest += data
        reply = b""
        while len(self.rest) >= 8:
            transaction, _, length, unit = struct.unpack(">HHHB", self.rest[:7])
            pdu, self.rest = self.rest[7 : 6 + length], self.rest[6 + length :]
            self.asked.append(pdu[0])
            answer = self.faults.get(pdu[0]) or self.answer(pdu[0], pdu[1:])
            reply += self.spoil(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        return reply

    def answer(self, function, data):
        first, count = struct.unpack(">HH", data[:4]) if function != 43 else (0, 0)
        if function in {1, 2}:
            bits = (self.coils if function == 1 else self.inputs)[first : first + count]
            return bytes([function, 1, sum(bit << place for place, bit in enumerate(bits))])
        if function == 3:
            return struct.pack(
                f">BB{count}H", 3, 2 * count, *[self.registers[first + n] for n in range(count)]
            )
        if function == 43:
            objects = b"".join(bytes([n, len(text)]) + text for n, text in enumerate(self.name))
            return bytes([43, 14, 1, 0x81, 0, 0, len(self.name)]) + objects
        self.written.append((function, first, count))
        if function == 5:
            self.coils[first] = int(count == 0xFF00)
        else:
            self.registers[first] = count
        return bytes([function]) + data[:4]


@pytest.fixture
def module():
    return Module()


@pytest.fixture
def make(module, tmp_path):
    wire = SocketPeer(tmp_path / "dio.sock", module.feed)
    drivers = []

    def make_(*, opened=True, **settings):
        given = {"connect": wire.connect, "timeout_s": 5.0, "inputs": INPUTS, "outputs": OUTPUTS}
        driver = ModbusDio(ModbusDio.Config(**given | settings))
        drivers.append(driver)
        if opened:
            driver.open()
        return driver

    make_.wire = wire
    yield make_
    for driver in drivers:
        driver.close()
    wire.close()


def test_it_is_a_digital_io(make):
    assert isinstance(make(opened=False), DigitalIo)


def test_opening_tells_who_answers_and_writes_nothing(make, module):
    identity = make(opened=False).open()
    assert (identity.vendor, identity.model, identity.firmware) == ("Maker", "DIO-8", "1.2")
    assert module.written == []


def test_levels_have_the_names_and_the_sense_of_the_settings(make):
    assert make().read().levels == {
        "door": True, "water": True, "ups": True, "heartbeat": False, "crowbar": True, "valve": True,
    }  # fmt: skip


def test_a_reading_is_as_old_as_its_first_reply(module, tmp_path):
    wire = SocketPeer(tmp_path / "dio.sock", module.feed)
    ticks = iter(range(1000))
    driver = ModbusDio(
        ModbusDio.Config(connect=wire.connect, timeout_s=30, outputs=OUTPUTS),
        clock=lambda: float(next(ticks)),
    )
    driver.open()
    before_s = next(ticks)
    t_mono_s = driver.read().t_mono_s
    after_s = next(ticks)
    driver.close()
    wire.close()
    assert before_s < t_mono_s < (before_s + after_s) / 2


def test_writing_drives_the_coil_that_is_named(make, module):
    driver = make()
    driver.write("heartbeat", True)
    driver.write("crowbar", True)
    driver.write("crowbar", False)
    assert module.written == [(5, 0, 0xFF00), (5, 2, 0), (5, 2, 0xFF00)]


def test_a_bit_of_a_register_leaves_the_others_alone(make, module):
    make().write("valve", False)
    assert module.written == [(6, 6, 0xFFFF & ~(1 << 9))]


@pytest.mark.parametrize("name", ["door", "nothing"])
def test_what_is_no_output_is_refused_before_a_byte_is_sent(make, module, name):
    driver = make()
    module.asked.clear()
    with pytest.raises(LimitError, match="there are heartbeat, crowbar, valve"):
        driver.write(name, True)
    assert module.asked == []


def test_an_output_that_does_not_follow_is_a_refusal(make, module):
    driver = make()
    module.faults[5] = bytes([5, 0, 0, 0xFF, 0])  # acknowledged, not done
    with pytest.raises(DeviceRefused, match=r"'heartbeat' \(coil 0\) does not read 1"):
        driver.write("heartbeat", True)


def test_make_safe_writes_every_safe_level_in_the_order_of_the_settings(make, module):
    driver = make()
    module.coils, module.registers[6] = [1, 0, 1], 0xFFFF
    driver.make_safe()
    assert module.written == [(5, 0, 0), (5, 2, 0), (6, 6, 0xFFFF & ~(1 << 9))]
    levels = driver.read().levels
    assert [levels[name] for name in OUTPUTS] == [False, True, False]


def test_make_safe_goes_on_after_a_refusal_and_then_says_so(make, module):
    driver = make()
    module.faults[5] = bytes([0x85, 4])
    with pytest.raises(DeviceRefused, match="device failure"):
        driver.make_safe()
    assert module.written == [(6, 6, 0xFFFF & ~(1 << 9))]
    assert module.asked[-4:].count(6) == 1


def test_make_safe_sends_every_coil_though_nothing_answers(make, module):
    outputs = {f"out{n}": {"kind": "coil", "address": n, "safe": False} for n in range(3)}
    driver = make(outputs=outputs, inputs={}, timeout_s=SILENCE_S)
    module.coils, module.spoil = [1, 1, 1], lambda frame: b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    wait_for(lambda: module.written == [(5, 0, 0), (5, 1, 0), (5, 2, 0)], "every coil")


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("function", [1, 2, 3])
def test_an_exception_while_reading_is_never_a_level(make, module, function, code):
    driver = make()
    module.faults[function] = bytes([function | 0x80, code])
    with pytest.raises(DeviceRefused, match=rf"exception {code} \((?!see).*\) to function {function}"):
        driver.read()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize(("name", "function"), [("heartbeat", 5), ("valve", 6)])
def test_an_exception_while_writing_is_a_refusal(make, module, name, function, code):
    driver = make()
    module.faults[function] = bytes([function | 0x80, code])
    with pytest.raises(DeviceRefused, match=f"exception {code} "):
        driver.write(name, True)


@pytest.mark.parametrize(
    ("function", "pdu"),
    [
        (2, bytes([2, 2, 0, 0])),  # more bytes than asked for
        (2, bytes([2, 0])),  # none
        (2, bytes([2, 3, 1])),  # byte count and bytes differ
        (2, bytes([1, 1, 1])),  # of another function
        (2, bytes([0x81, 2])),  # exception of another function
        (2, bytes([0x82])),  # exception without a code
        (2, bytes([0x82, 2, 0])),  # exception with something behind it
        (2, bytes([99, 1, 1])),  # a function that nobody knows
        (3, bytes([3, 2, 0])),  # half a register
        (3, bytes([3, 6, 0, 8, 0, 0, 0, 0])),  # more registers than asked for
        (3, bytes([3, 2, 0, 8])),  # fewer
        (3, bytes([3, 3, 0, 8, 0])),  # an odd number of bytes
    ],
)
def test_a_reply_that_does_not_fit_the_question_is_never_a_level(make, module, function, pdu):
    driver = make()
    module.faults[function] = pdu
    with pytest.raises(DeviceProtocolError):
        driver.read()


@pytest.mark.parametrize(
    "pdu", [bytes([5, 0, 0, 0x12, 0x34]), bytes([5, 0, 0, 0xFF]), bytes([6, 0, 0, 0xFF, 0])]
)
def test_an_acknowledgement_that_is_none_is_an_error(make, module, pdu):
    driver = make()
    module.faults[5] = pdu
    with pytest.raises(DeviceError):
        driver.write("heartbeat", True)


def late(frame):
    return struct.pack(">H", struct.unpack(">H", frame[:2])[0] - 1) + frame[2:]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda frame: b"",
        lambda frame: frame[:-1],
        lambda frame: frame[:5],
        late,
        lambda frame: frame[:6] + bytes([9]) + frame[7:],  # another unit
        lambda frame: frame[:3] + b"\x07" + frame[4:],  # another protocol
        lambda frame: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["silence", "half", "header only", "late", "other unit", "other protocol", "web server"],
)
def test_without_the_whole_reply_to_this_question_time_runs_out(make, module, spoil):
    driver = make(timeout_s=SILENCE_S)
    module.spoil = spoil
    with pytest.raises(DeviceTimeout):
        driver.read()


def test_bytes_that_dribble_do_not_stretch_the_deadline(make, module):
    driver = make(timeout_s=SILENCE_S)
    hung, stop = make.wire, threading.Event()

    def dribble():
        while not stop.wait(SILENCE_S / 10):
            hung._connection.sendall(b"\x00")

    module.spoil = lambda frame: b""
    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        with pytest.raises(DeviceTimeout):
            driver.read()
    finally:
        stop.set()
        thread.join()


def test_a_late_reply_never_answers_the_next_question(make, module):
    driver = make()
    held = []
    module.spoil = lambda frame: held.append(frame) or b"".join(held[-2:])
    before = driver.read()
    module.inputs = [0, 1]
    after = driver.read()
    assert before.levels["door"]
    assert not after.levels["door"]


def test_a_reply_that_comes_twice_is_read_once(make, module):
    module.spoil = lambda frame: frame * 2
    driver = make()
    module.inputs = [0, 1]
    assert driver.read().levels["door"] is False


def test_a_module_that_hangs_up_is_lost(make):
    driver = make()
    make.wire.hang_up()
    with pytest.raises(DeviceLost):
        driver.read()


def test_a_closed_link_is_lost_and_opens_again(make):
    driver = make()
    driver.close()
    with pytest.raises(DeviceLost):
        driver.read()
    driver.open()
    assert driver.read().levels["door"]


def test_a_module_that_tells_no_identification_is_refused_with_what_to_do(make, module):
    module.faults[43] = bytes([0xAB, 1])
    with pytest.raises(DeviceIdentityError, match="set identification: false"):
        make()


@pytest.mark.parametrize(
    "pdu",
    [
        bytes([43, 14, 1, 0x81, 0, 0, 3, 0, 9, 65]),  # an object longer than the reply
        bytes([43, 14, 1, 0x81, 0, 0, 1, 0, 1, 65]),  # vendor only
        bytes([43, 13, 1]),  # another kind of encapsulation
        bytes([43, 14, 1, 0x81, 0, 0, 3, 0, 1, 65, 0, 1, 66, 0, 1, 67]),  # one object three times
    ],
)
def test_an_identification_that_makes_no_sense_is_refused(make, module, pdu):
    module.faults[43] = pdu
    with pytest.raises(DeviceError):
        make()


def test_an_expected_register_tells_another_module(make, module):
    settings = {"identification": False, "expect": {211: 0x6050}}
    make(**settings).close()
    module.registers[211] = 0x6060
    with pytest.raises(
        DeviceIdentityError, match="register 211 reads 24672, the configuration expects 24656"
    ):
        make(**settings)
    assert 43 not in module.asked


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"connect": "serial:/dev/ttyUSB0:9600-8N1"}, "tcp:HOST:502"),
        ({"serial_number": "7"}, "no serial number"),
        ({"identification": False}, "in expect"),
        ({"inputs": {}, "outputs": {}}, "wanted are inputs or outputs"),
        ({"inputs": {"heartbeat": INPUTS["door"]}}, "a name of its own"),
        ({"outputs": {"a": OUTPUTS["heartbeat"], "b": OUTPUTS["heartbeat"]}}, "the same address"),
        ({"outputs": {"a": {"kind": "discrete", "address": 0, "safe": False}}}, "coil"),
        ({"outputs": {"a": {"kind": "coil", "address": 0}}}, "safe"),
        ({"inputs": {"a": {"kind": "coil", "address": 0, "bit": 3}}}, "only a register has"),
        ({"inputs": {"a": {"kind": "coil", "address": 65536}}}, "65535"),
        ({"unit": 256}, "255"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        ModbusDio.Config(**{"connect": "tcp:dio:502", "inputs": INPUTS, "outputs": OUTPUTS} | settings)


@given(st.sets(st.tuples(st.sampled_from(["coil", "discrete", "register"]), st.integers(0, 300))))
def test_requests_ask_for_what_was_named_and_for_nothing_else(places):
    requests = runs(places)
    asked = [(kind, first + offset) for kind, first, count in requests for offset in range(count)]
    assert sorted(asked) == sorted(places)
    assert all(count <= 125 for _, _, count in requests)


def test_the_rig_file_of_the_page_on_wiring_is_valid():
    page = (Path(__file__).resolve().parents[2] / "docs" / "dead-man.md").read_text(encoding="utf-8")
    rig = yaml.safe_load(page.split("```yaml")[1].split("```")[0])
    config = ModbusDio.Config(**rig["devices"]["io"]["settings"])
    assert config.outputs["inhibit"].safe
    contacts = Contacts.model_validate(rig["contacts"])
    assert contacts.inputs.keys() == config.inputs.keys()
    assert {contacts.inhibit, contacts.heartbeat, contacts.crowbar.output} == config.outputs.keys()


SPOKEN = [one for one in TRANSCRIPT["exchanges"] if "meaning" in one]


def test_the_driver_says_and_understands_the_bytes_of_the_transcript(tmp_path):
    pairs = {bytes.fromhex(one["send"]): bytes.fromhex(one["reply"]) for one in SPOKEN}
    wire = SocketPeer(tmp_path / "dio.sock", lambda data: pairs[data])
    config = ModbusDio.Config(connect=wire.connect, timeout_s=5, inputs=INPUTS)
    link = Link(config, open_transport, lambda: 0.0)
    with link.opening():
        client = ModbusClient(link, "dio", 1, 5.0, lambda: 0.0)
        for one in SPOKEN:
            _says_and_understands(client, one["meaning"])
    link.close()
    wire.close()


def _says_and_understands(client, meaning):
    if "error" in meaning:
        with pytest.raises(DeviceRefused, match=f"exception {meaning['code']} .{meaning['error']}"):
            client.values(meaning["query"], meaning["address"])
    elif meaning.get("query") == "identity":
        identity = client.identity()
        assert {key: getattr(identity, key) for key in meaning["value"]} == meaning["value"]
    elif "query" in meaning:
        found = client.values(meaning["query"], meaning["address"], len(meaning["value"]))
        assert found == meaning["value"]
    else:
        client.put(meaning["command"], meaning["address"], meaning["value"])
