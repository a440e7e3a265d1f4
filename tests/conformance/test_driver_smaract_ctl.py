"""SmarActCTL: the driver over a library made of C in the maker's place, compiled here."""

import ctypes
import time

import pytest

from evapd.errors import (
    DeviceError,
    DeviceIdentityError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
)
from evapd_drivers.stage import smaract_ctl as codec
from evapd_drivers.stage.smaract_ctl import SmarActCtl
from evapd_sim.sdk.smaractctl import PM_PER_MM, FakeSmarActCtl

X = {"channel": 0, "min_mm": -10, "max_mm": 10}
Z = {"channel": 2, "min_mm": -10, "max_mm": 10}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sdk")  # one compilation for all tests


@pytest.fixture
def fake(folder):
    return FakeSmarActCtl(folder)


@pytest.fixture
def make(fake):
    made = []

    def make_(*, opened=True, **settings):
        usual = {
            "connect": f"library:{fake.path}",
            "locator": "usb:sn:MCS2-00000412",
            "axes": {"x": X, "z": Z},
        }
        made.append(SmarActCtl(SmarActCtl.Config(**usual | settings)))
        if opened:
            made[-1].open()
        return made[-1]

    yield make_
    for driver in made:
        driver.close()


def eventually(condition):
    deadline_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline_s


def test_a_library_that_is_not_there_is_lost(tmp_path, make):
    with pytest.raises(DeviceLost, match="install the vendor's driver"):
        make(connect=f"library:{tmp_path}/nothing.so")


def test_another_library_is_not_taken_for_it(make):
    with pytest.raises(DeviceIdentityError, match="has no SA_CTL_GetResultInfo"):
        make(connect="library:libc.so.6")


@pytest.mark.parametrize("locator", ["network:sn:MCS2-00000001", "usb:sn:MCS2-1"])
def test_a_controller_that_is_not_there_is_lost_in_the_librarys_words(make, locator):
    with pytest.raises(DeviceLost, match=r"Open: result 0xf01a \(Device not found\)"):
        make(locator=locator)


def test_a_move_takes_its_time_and_ends_in_position(make, fake):
    fake.put(0, 0.0, referenced=True)
    driver = make()
    driver.move("x", 0.5)
    axis = driver.read().axes["x"]
    assert (axis.moving, axis.in_position) == (True, False)
    assert axis.following_error_mm == pytest.approx(0.005)
    eventually(lambda: driver.read().axes["x"].in_position)
    assert driver.read().axes["x"].position_mm == pytest.approx(0.5, abs=1e-5)


def test_a_stage_that_has_lost_its_zero_is_not_moved(make, fake):
    fake.put(0, 3.0, referenced=True)
    driver = make()
    driver.move("x", 3.001)
    fake.power_fails()
    with pytest.raises(DeviceRefused, match="not referenced"):
        driver.move("x", 1.0)
    assert not fake.moving


def test_the_reference_mark_gives_the_zero_back(make, fake):
    fake.put(0, 0.5, referenced=False)
    fake.power_fails()
    driver = make()
    assert driver.read().axes["x"].position_mm == 0.0
    driver.reference("x")
    assert driver.read().axes["x"].moving
    eventually(lambda: driver.read().axes["x"].referenced)
    driver.move("x", 0.5)
    eventually(lambda: driver.read().axes["x"].in_position)


def test_an_end_stop_is_not_in_position(make, fake):
    fake.put(0, 24.99, referenced=True)
    driver = make(axes={"x": X | {"max_mm": 100}})
    driver.move("x", 26.0)
    eventually(lambda: not driver.read().axes["x"].moving)
    assert not driver.read().axes["x"].in_position


def test_the_emergency_stop_refuses_moves_in_the_librarys_words(make, fake):
    fake.put(0, 0.0, referenced=True)
    driver = make()
    fake.press_emergency_stop(pressed=True)
    for call in (lambda: driver.move("x", 1.0), lambda: driver.reference("x")):
        with pytest.raises(DeviceRefused, match="Movement locked"):
            call()
    driver.make_safe()
    fake.press_emergency_stop(pressed=False)
    driver.move("x", 1.0)
    assert fake.moving


def test_a_cable_that_is_pulled_is_lost_and_opens_again(make, fake):
    driver = make()
    fake.unplug(unplugged=True)
    for call in (driver.read, driver.make_safe, lambda: driver.move("x", 1.0)):
        with pytest.raises(DeviceLost):
            call()
    fake.unplug(unplugged=False)
    with pytest.raises(DeviceLost, match="Invalid device handle"):
        driver.read()
    driver.open()
    assert set(driver.read().axes) == {"x", "z"}


def test_a_channel_without_positioner_is_refused_and_never_read(make, fake):
    driver = make()
    fake.take_positioner(2, away=True)
    with pytest.raises(DeviceRefused, match=r"channel 2 \(axis z\) has no positioner"):
        driver.read()


@pytest.mark.parametrize(
    ("axes", "why"),
    [({"x": X | {"channel": 3}}, "there are 3 from 0"), ({"x": X | {"channel": 127}}, "there are 3")],
)
def test_a_channel_that_is_not_there_is_told_at_open(make, axes, why):
    with pytest.raises(DeviceIdentityError, match=why):
        make(axes=axes)


def test_every_axis_is_stopped_though_the_first_one_fails(make):
    driver, tried = make(), []

    class Library:
        def SA_CTL_Stop(self, handle, channel, transmit):
            tried.append(channel)
            return 0x0004 if channel == 0 else 0

        def SA_CTL_GetResultInfo(self, result):
            return None

    real, driver._library = driver._library, Library()
    with pytest.raises(DeviceTimeout, match="no words"):
        driver.make_safe()
    driver._library = real
    assert tried == [0, 2]


def test_two_drivers_cannot_hold_one_controller(make):
    first = make()
    make()
    with pytest.raises(DeviceError):
        first.read()


@pytest.mark.parametrize(
    "wrong", [{"connect": "tcp:10.0.0.1:55551"}, {"locator": "MCS2"}, {"locator": "network:\n"}, {"axes": {}}]
)
def test_settings_without_sense_are_refused(make, wrong):
    with pytest.raises(ValueError, match="validation error"):
        make(opened=False, **wrong)


@pytest.mark.parametrize(
    ("key", "kind", "result"),
    [
        (codec.POSITION, "i32", 0x16), (0x01234567, "i32", 0x12), (0x01234567, "i64", 0x12), (codec.MODE, "i64", 0x12),
    ],
)  # fmt: skip
def test_the_library_tells_a_wrong_key_or_type_by_its_own_code(make, fake, key, kind, result):
    driver = make()
    value = ctypes.c_int64()
    function = getattr(driver._library, f"SA_CTL_GetProperty_{kind}")
    pointer = ctypes.pointer(value) if kind == "i64" else ctypes.pointer(ctypes.c_int32())
    assert function(driver._handle, 0, key, pointer, None) == result


def test_devices_are_found_by_their_locators(fake):
    library, room, size = ctypes.CDLL(str(fake.path)), ctypes.create_string_buffer(200), ctypes.c_size_t(200)
    assert library.SA_CTL_FindDevices(b"", room, ctypes.byref(size)) == 0
    assert room.value == b"network:sn:MCS2-00000412\n"
    size.value = 5
    assert library.SA_CTL_FindDevices(b"", room, ctypes.byref(size)) == 0xF006


def test_lengths_are_picometres(fake):
    fake.put(1, -1.5, referenced=False)
    assert fake.library.sim_position(1) == -1.5 * PM_PER_MM
