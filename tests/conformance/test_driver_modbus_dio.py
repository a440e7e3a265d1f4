"""Modbus/TCP digital I/O against a scripted module: literal bytes, names and senses, what is driven and made safe, settings."""

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
    DeviceRefused,
    DeviceTimeout,
    LimitError,
)
from evapd_drivers.modbus_dio import ModbusDio
from evapd_drivers.modbus_link import ModbusClient, runs
from support.scripted_module import INPUTS, OUTPUTS, ScriptedModule, modules_at
from support.scripted_peer import SocketPeer
from support.wait import wait_for

TRANSCRIPT = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "wire/transcripts/modbus-dio.yaml").read_text(encoding="utf-8")
)


@pytest.fixture
def module():
    return ScriptedModule()


@pytest.fixture
def make(module, tmp_path):
    with modules_at(module, tmp_path) as make_:
        yield make_


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
    driver = make(outputs=outputs, inputs={})
    module.coils, module.spoil = [1, 1, 1], lambda frame: b""
    with pytest.raises(DeviceTimeout):
        driver.make_safe()
    wait_for(lambda: module.written == [(5, 0, 0), (5, 1, 0), (5, 2, 0)], "every coil")


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
