"""A Modbus/TCP module: five contacts, a heartbeat and an inhibit output; a register tells which module it is."""

from conformance.instruments.served import Served
from evapd.device.conformance import Setpoint
from evapd_drivers.modbus_dio import ModbusDio

CODE = 16  # register
NAMES = ("door", "valve", "water", "ups", "relay")


class ModbusModule(Served):
    wire_name = "modbus-dio"
    driver = ModbusDio
    settings = {
        "inputs": {name: {"kind": "discrete", "address": number} for number, name in enumerate(NAMES)},
        "outputs": {
            "heartbeat": {"kind": "coil", "address": 0, "safe": False},
            "inhibit": {"kind": "coil", "address": 1, "safe": True},
        },
    }
    setpoints = (
        Setpoint("write", lead=("heartbeat",), good=(True, False, True)),
        Setpoint("write", lead=("inhibit",), good=(True, False)),
        Setpoint("write", lead=("door",), bad=(True, False)),
        Setpoint("write", lead=("nothing",), bad=(True,)),
    )
    named = {"expect": {CODE: 0x6050}}
    misnamed = {"expect": {CODE: 0x6060}}

    def left_behind(self):
        self.wire.coils[1] = True

    def energised(self):
        with self.plant.lock:
            return self.wire.coils[0] or not self.wire.coils[1]

    def alter(self):
        closed = self.plant.interlock["water"] = not self.plant.interlock["water"]
        return lambda reading: reading.levels["water"] is closed

    def refuse(self):
        self.wire.exception = 4

    def renumber(self):
        self.wire.registers[CODE] = 0x6051
