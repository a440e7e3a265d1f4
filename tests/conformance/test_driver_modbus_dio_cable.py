"""The driver of digital I/O at the far end of a real cable: faults that stay, unplugging, another module, the heartbeat relay."""

import itertools

import pytest

from evapd.device import DeviceWorker
from evapd.device.snapshot import DeviceState
from evapd.errors import DeviceError, DeviceIdentityError, DeviceLost, DeviceTimeout
from evapd_drivers.modbus_dio import ModbusDio
from evapd_sim.plant import Plant
from evapd_sim.wire.modbus_dio import ModbusDioWire
from evapd_sim.wire.serve import serve_wire
from support.scripted_peer import SILENCE_S
from support.wait import wait_for

NAMES = ("door", "valve", "water", "ups", "relay")
INPUTS = {name: {"kind": "discrete", "address": number} for number, name in enumerate(NAMES)}
OUTPUTS = {
    "heartbeat": {"kind": "coil", "address": 0, "safe": False},
    "inhibit": {"kind": "coil", "address": 1, "safe": True},
}


class Rig:
    """One module on a TCP port of the loopback, and drivers for it."""

    def __init__(self):
        self.plant = Plant()
        self.wire = ModbusDioWire(self.plant)
        self.server = serve_wire(self.wire, "tcp:127.0.0.1:0")
        self.drivers = []

    def driver(self, **settings):
        given = {"connect": self.server.address, "timeout_s": 5.0, "inputs": INPUTS, "outputs": OUTPUTS}
        self.drivers.append(ModbusDio(ModbusDio.Config(**given | settings)))
        return self.drivers[-1]


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    for driver in rig.drivers:
        driver.close()
    rig.server.close()


PATIENT_S = SILENCE_S


def test_levels_follow_the_contacts(rig):
    driver = rig.driver()
    assert driver.open().model == "SIM-DIO"
    assert all(driver.read().levels[name] for name in ("door", "valve", "water", "ups"))
    rig.plant.interlock["water"] = False
    assert driver.read().levels["water"] is False


def test_outputs_are_driven_and_made_safe(rig):
    driver = rig.driver()
    driver.open()
    driver.write("heartbeat", True)
    assert rig.wire.coils[:2] == [True, False]
    driver.make_safe()
    assert rig.wire.coils[:2] == [False, True]


@pytest.mark.parametrize("fault", ["silent", "deaf", "garbage", "half_lines"])
def test_after_a_fault_the_link_opens_again_and_reads_what_is_true(rig, fault):
    driver = rig.driver(timeout_s=SILENCE_S)
    driver.open()
    setattr(rig.server, fault, True)
    with pytest.raises(DeviceError):
        driver.read()
    driver.close()
    setattr(rig.server, fault, False)
    rig.plant.interlock["door"] = False
    driver.open()
    assert driver.read().levels["door"] is False


def test_replies_later_than_the_deadline_are_a_timeout_and_answer_nothing_later(rig):
    driver = rig.driver(timeout_s=PATIENT_S)
    driver.open()
    rig.server.delay_s = 2 * PATIENT_S
    with pytest.raises(DeviceTimeout):
        driver.read()
    rig.server.delay_s = 0.0
    rig.plant.interlock["door"] = False
    assert driver.read().levels["door"] is False


def test_a_module_with_another_unit_number_does_not_answer(rig):
    with pytest.raises(DeviceTimeout):
        rig.driver(unit=2, timeout_s=SILENCE_S).open()


def test_an_unplugged_module_is_lost_and_comes_back(rig):
    driver = rig.driver()
    driver.open()
    rig.server.unplug()
    with pytest.raises(DeviceLost):
        driver.read()
    driver.close()
    with pytest.raises(DeviceError):
        driver.open()
    rig.server.replug()
    driver.open()
    assert driver.read().levels["door"]


def test_its_watchdog_time_is_checked_at_every_open(rig):
    rig.wire.registers[17] = 20
    driver = rig.driver(expect={17: 20})
    driver.open()
    rig.wire.registers[17] = 0  # as after a power cut, where it is not kept
    driver.close()
    with pytest.raises(DeviceIdentityError, match="its own settings were lost"):
        driver.open()


def test_another_module_after_a_reconnect_is_never_commanded(rig):
    worker = DeviceWorker("dio", rig.driver(), period_s=0.01, stale_s=0.5)
    worker.start()
    try:
        wait_for(lambda: worker.latest().state is DeviceState.ONLINE, "online")
        rig.server.unplug()
        wait_for(lambda: worker.latest().state is not DeviceState.ONLINE, "the loss")
        rig.wire._objects[1] = b"OTHER-DIO"
        rig.server.replug()
        wait_for(lambda: worker.latest().errors.get("DeviceIdentityError"), "the refusal")
        assert worker.latest().state is DeviceState.UNKNOWN
        assert not worker.command("on", lambda: rig.drivers[0].write("heartbeat", True))
        assert not any(rig.wire.coils)
    finally:
        assert worker.stop(5.0)


def test_a_heartbeat_through_the_driver_closes_the_relay_and_its_end_opens_it(rig):
    driver = rig.driver()
    driver.open()
    beats = itertools.cycle([True, False])
    wait_for(
        lambda: driver.write("heartbeat", next(beats)) or driver.read().levels["relay"], "the relay to close"
    )
    wait_for(lambda: not driver.read().levels["relay"], "the relay to drop out")
