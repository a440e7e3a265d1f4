"""A scripted NKT ORIGAMI, and drivers at its cable."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evapd_drivers.laser.nkt_origami import NktOrigami
from support.scripted_drivers import drivers_at
from support.scripted_peer import Peer

SET = {"e_power": "Setted laser power in relative unit: ", "e_freq": "Frequency index parameter: ",
       "e_div": "Notice: Division factor for PCAOM is "}  # fmt: skip
RATES = b"Available repetition rates:\n\t e_freq=0\t--> 50000 Hz\n\t e_freq=2\t--> 200000 Hz\n"


class ScriptedOrigami:
    """A laser in standby at 200 kHz that echoes and answers in words."""

    def __init__(self) -> None:
        self.status, self.gate_closed = 33, 1
        self.values = {"e_power": "800", "e_freq": "2", "e_div": "1"}
        self.monitor = b"12300 nJ\n"
        self.peer = Peer(lambda command: command + b"\n" + self.answer(command.decode()))

    def answer(self, command: str) -> bytes:
        """Do what is said and give the words behind the echo."""
        name, assigns, value = command.partition("=")
        if assigns:
            self.values[name] = value
        elif command.removesuffix("?") in SET:
            name = command.removesuffix("?")
            return f"{SET[name]}{self.values[name]}\n".encode()
        elif command == "ly_oxp2_dev_status":
            return f"ly_oxp2_dev_status {self.status}\n".encode()
        elif command == "ly_oxp2_output?":
            return f"ly_oxp2_output {self.gate_closed}\n".encode()
        elif command == "e_freq_available?":
            return RATES
        elif command == "e_mlp?":
            return self.monitor
        elif command == "ly_oxp2_enabled":
            self.status, self.gate_closed = 129, 0
        elif command == "ly_oxp2_standby":
            self.status = 33
        elif command.startswith("ly_oxp2_output_"):
            self.gate_closed = int(command.endswith("disable"))
        return b""


@contextmanager
def origamis_at(laser: ScriptedOrigami, folder: Path) -> Iterator[Callable[..., Any]]:
    """Drivers on the laser: 0.025 pJ at the specimen per unit, 100 pJ at full scale."""
    usual = {"energy_max_pj": 60.0, "pj_per_unit": 0.025, "quiet_s": 0.03}
    with drivers_at(laser.peer, folder, NktOrigami, **usual) as make:
        yield make
