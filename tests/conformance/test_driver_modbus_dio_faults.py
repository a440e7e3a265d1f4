"""Modbus/TCP digital I/O against a scripted module: every exception, garbage, silence, half and late replies."""

import struct

import pytest

from evapd.errors import DeviceError, DeviceLost, DeviceProtocolError, DeviceRefused, DeviceTimeout
from support.scripted_module import ScriptedModule, modules_at


@pytest.fixture
def module():
    return ScriptedModule()


@pytest.fixture
def make(module, tmp_path):
    with modules_at(module, tmp_path) as make_:
        yield make_


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
    driver = make()
    module.spoil = spoil
    with pytest.raises(DeviceTimeout):
        driver.read()


def test_bytes_that_dribble_do_not_stretch_the_deadline(make, module):
    driver = make()
    module.spoil = lambda frame: b""
    make.line.babble = b"\x00"
    with pytest.raises(DeviceTimeout):
        driver.read()


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
    make.line.hung_up = True
    with pytest.raises(DeviceLost):
        driver.read()


def test_a_closed_link_is_lost_and_opens_again(make):
    driver = make()
    driver.close()
    with pytest.raises(DeviceLost):
        driver.read()
    driver.open()
    assert driver.read().levels["door"]
