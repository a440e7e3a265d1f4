"""The Modbus/TCP driver against somebody else's reading of the specification: pymodbus' server, and pymodbus' codec."""

import struct
import subprocess
import sys
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from evapd.errors import DeviceRefused, DeviceTimeout
from evapd_drivers.modbus_dio import ModbusDio
from evapd_drivers.modbus_link import ModbusClient

# A process of its own: the server is an event loop.
SERVER = """
import asyncio
from pymodbus import ModbusDeviceIdentification
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock as Block, ModbusServerContext
from pymodbus.server import ModbusTcpServer

async def serve():
    device = ModbusDeviceContext(
        di=Block(1, [True, False, True, True, False]), co=Block(1, [False] * 16), hr=Block(1, [0x6050, 8, 0, 1])
    )
    identity = ModbusDeviceIdentification(info_name={
        "VendorName": "Elsewhere", "ProductCode": "DIO-16", "MajorMinorRevision": "2.1"
    })
    server = ModbusTcpServer(ModbusServerContext(devices=device), identity=identity, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    print(server.transport.sockets[0].getsockname()[1], flush=True)
    await server.serving

asyncio.run(serve())
"""
NAMES = ("door", "valve", "water", "ups", "relay")
SETTINGS = {
    "timeout_s": 5,
    "inputs": {name: {"kind": "discrete", "address": number} for number, name in enumerate(NAMES)}
    | {"bit": {"kind": "register", "address": 1, "bit": 3}},
    "outputs": {
        "heartbeat": {"kind": "coil", "address": 0, "safe": False},
        "inhibit": {"kind": "coil", "address": 9, "invert": True, "safe": True},
        "lamp": {"kind": "register", "address": 2, "bit": 15, "safe": False},
    },
    "expect": {0: 0x6050},
}


@contextmanager
def server():
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def port():
    with server() as number:
        yield number


@pytest.fixture
def driver(port):
    made = ModbusDio(ModbusDio.Config(connect=f"tcp:127.0.0.1:{port}", **SETTINGS))
    yield made
    made.close()


def test_it_identifies_the_server_and_reads_every_level(driver):
    identity = driver.open()
    assert (identity.vendor, identity.model, identity.firmware) == ("Elsewhere", "DIO-16", "2.1")
    levels = driver.read().levels
    assert [levels[name] for name in NAMES] == [True, False, True, True, False]
    assert levels["bit"]


@pytest.mark.parametrize("name", ["heartbeat", "inhibit", "lamp"])
def test_each_output_follows_and_make_safe_brings_it_back(driver, name):
    driver.open()
    safe = SETTINGS["outputs"][name]["safe"]
    driver.write(name, not safe)
    assert driver.read().levels[name] is not safe
    driver.make_safe()
    assert driver.read().levels[name] is safe


def test_what_the_server_has_not_is_refused_in_its_words(driver):
    driver.open()
    with pytest.raises(DeviceRefused, match=r"exception 2 \(illegal data address"):
        driver._client.values("register", 4000)


class Wire:
    """Gives one frame as the answer to whatever is asked."""

    def __init__(self, make):
        self.make, self.transport = make, self
        self.frame = b""

    def send(self, data):
        self.frame = self.make(struct.unpack(">H", data[:2])[0])

    def read_some(self, size, timeout_s):
        frame, self.frame = self.frame, b""
        if not frame:
            raise DeviceTimeout("silence")
        return frame


def framed(pdu, transaction, unit=1):
    pdu.transaction_id, pdu.dev_id = transaction, unit
    return FramerSocket(DecodePDU(False)).buildFrame(pdu)


def client(make):
    return ModbusClient(Wire(make), "dio", 1, 5.0, lambda: 0.0)


@given(st.lists(st.booleans(), min_size=1, max_size=125), st.booleans())
def test_bits_are_read_as_pymodbus_writes_them(bits, coils):
    response = ReadCoilsResponse if coils else ReadDiscreteInputsResponse
    asking = client(lambda transaction: framed(response(bits=list(bits)), transaction))
    assert asking.values("coil" if coils else "discrete", 0, len(bits)) == bits


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125))
def test_registers_are_read_as_pymodbus_writes_them(words):
    response = ReadHoldingRegistersResponse(registers=list(words))
    asking = client(lambda transaction: framed(response, transaction))
    assert asking.values("register", 0, len(words)) == words


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.sampled_from(["coil", "register"]))
def test_what_is_written_is_what_pymodbus_understands(address, value, kind):
    sent = []
    asking = client(lambda transaction: b"")
    asking._link.send = sent.append
    asking.put(kind, address, value, blindly=True)
    _, request = FramerSocket(DecodePDU(True)).handleFrame(sent[0], 1, 0)
    assert (request.function_code, request.address, request.dev_id) == (
        5 if kind == "coil" else 6,
        address,
        1,
    )
    seen = request.bits[0] if kind == "coil" else request.registers[0]
    assert seen == (bool(value) if kind == "coil" else value)


def test_the_driver_loads_no_event_loop():
    code = "import sys, evapd_drivers.modbus_dio; print({'asyncio', 'pymodbus'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
