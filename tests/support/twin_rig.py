"""Rig files for the twin program, and the few frames of tdc-stream that a client must speak, written from its page."""

import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evapd.config import LoadedRig, load_rig

IDENT, ARM, DISARM = 16, 17, 18
DATA, ACK = 2, 3
EXHAUSTED = 4
_HEADER = struct.Struct("<4sBBHIIQIIQII")
_ANODE = """
kind: quad
radius_mm: 105
dead_time_ps: 0
jitter_ps: 20
layers:
  x: { time_sum_ps: 270000, mm_per_ns: 0.8 }
  y: { time_sum_ps: 272000, mm_per_ns: 0.8 }
"""
_RIG = """
name: test
devices:
  supply: { driver: fug-probus, role: specimen, settings: { connect: "serial:twin/hv:115200-8N1", v_max_v: 15000, i_max_a: 0.0003 } }
  tdc: { driver: tdc-stream, role: tdc, settings: { connect: "unix:twin/tdc.sock" } }
anode: anode.yaml
instrument: { flight_path_mm: 110 }
specimen: { name: tip, v_dc_max_v: 15000, v_tot_max_v: 15000 }
pulse: { mode: laser, rate_hz: 1000 }
control: { law: monitor, v_max_v: 15000 }
twin:
  kind: KIND
  settings: SETTINGS
"""


def write_rig(folder: Path, kind: str = "atom-probe", settings: str = "{}") -> Path:
    """A rig of a supply and a TDC with a twin of `kind`; settings as YAML flow."""
    (folder / "anode.yaml").write_text(_ANODE)
    path = folder / "rig.yaml"
    path.write_text(_RIG.replace("KIND", kind).replace("SETTINGS", settings))
    return path


def load(folder: Path, kind: str = "atom-probe", settings: str = "{}") -> LoadedRig:
    """The same, loaded; its files lie below `folder`."""
    return load_rig(write_rig(folder, kind, settings), folder / "d")


@dataclass(frozen=True)
class DataFrame:
    """One DATA frame: counters, flags, and how many words."""

    first_pulse: int
    pulses: int
    inhibited: int
    flags: int
    words: int
    seq: int


class TdcClient:
    """A client of tdc-stream that arms at once."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20.0)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")
        self.request(ARM)

    def request(self, kind: int) -> None:
        """Send a request without a payload."""
        header = _HEADER.pack(b"EVTD", 1, kind, 0, 1, 0, 0, 0, 0, 0, 0, 0)
        self._socket.sendall(header + struct.pack("<I", zlib.crc32(header)))

    def frames(self) -> Iterator[DataFrame]:
        """DATA frames as they come, for at most ten seconds of silence."""
        while True:
            header = self._file.read(_HEADER.size)
            _, _, kind, flags, seq, length, first, pulses, inhibited, _, _, _ = _HEADER.unpack(header)
            payload = self._file.read(length)
            assert struct.unpack("<I", self._file.read(4))[0] == zlib.crc32(header + payload)
            if kind == DATA:
                yield DataFrame(first, pulses, inhibited, flags, length // 8, seq)

    def close(self) -> None:
        """Hang up, which disarms."""
        self._file.close()
        self._socket.close()
