"""Ways into a process from the machine's side: disk and clock below the C library, a driver plugin that misbehaves, a service manager."""

import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.daemon import Daemon

_SOURCE = Path(__file__).with_name("faults_shim.c")
_FAULTS = struct.Struct("<10q")
_LEDGER_ROW = struct.Struct("<3q")
_LEDGER_ROWS = 1024
_PLUGIN = '''
"""Drivers of a laboratory whose code misbehaves when a file tells it to."""

import ctypes
import gc
import threading
import time
from pathlib import Path

from evapd_drivers.gauge.pfeiffer_tpg26x import PfeifferTpg26x
from evapd_drivers.tdc.tdc_stream import TdcStream

_HOLDS_THE_LOCK = ctypes.PyDLL(None)  # unlike CDLL it keeps the interpreter's lock while a C function runs
_ORDERS = Path(__file__).parent


def _storm(order):
    if order == "lock":  # half of all time, in pieces of 50 ms
        _HOLDS_THE_LOCK.usleep(50_000)
        time.sleep(0.05)
    elif order == "garbage":
        rubbish = [[index] for index in range(300_000)]
        rubbish.append(rubbish)
        gc.collect()
    elif order.startswith("hang"):
        (_ORDERS / "guard").unlink(missing_ok=True)
        _HOLDS_THE_LOCK.usleep(int(float(order.split()[1]) * 1e6))


def _obey(name):
    while True:
        try:
            order = (_ORDERS / name).read_text()
        except OSError:
            order = ""
        if order:
            _storm(order)
        else:
            time.sleep(0.01)


class HogTdc(TdcStream):
    """A TDC driver with a thread that hogs the interpreter."""

    def __init__(self, config, **rest):
        super().__init__(config, **rest)
        threading.Thread(target=_obey, args=("acquire",), daemon=True).start()


class HangGauge(PfeifferTpg26x):
    """A gauge driver that hangs its whole process."""

    def __init__(self, config, **rest):
        super().__init__(config, **rest)
        threading.Thread(target=_obey, args=("guard",), daemon=True).start()
'''


class Shim:
    """Disk and clock of the processes that were started with it."""

    def __init__(self, daemon: Daemon) -> None:
        folder = daemon.config.parent
        library, self._path = folder / "shim.so", folder / "shim.faults"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"], check=True
        )
        self.set()
        self._ledger = folder / "shim.ledger"
        self._ledger.write_bytes(bytes(_LEDGER_ROW.size * _LEDGER_ROWS))
        for name in ("guard", "acquire"):
            daemon.env[name] = {
                "LD_PRELOAD": str(library),
                "FAULTS_SHIM": str(self._path),
                "FAULTS_LEDGER": str(self._ledger),
            }

    def ledger(self) -> dict[int, tuple[int, int]]:
        """What the journals' writes have returned: bytes and whole frames by inode."""
        rows = _LEDGER_ROW.iter_unpack(self._ledger.read_bytes())
        return {inode: (size, frames) for inode, size, frames in rows if inode}

    def forget(self) -> None:
        """Begin a new ledger; of a segment that is being written it then has the rest."""
        with self._ledger.open("r+b") as file:
            file.write(bytes(_LEDGER_ROW.size * _LEDGER_ROWS))

    def set(
        self,
        *,
        clock_s: float = 0.0,
        room_bytes: int = -1,
        stall_s: float = 0.0,
        error: int = 0,
        read_only: bool = False,
        sync_error: int = 0,
        dir_error: int = 0,
        open_error: int = 0,
        whose: str = "acquire",
        free_bytes: int = -1,
    ) -> None:
        """Switch faults; without arguments all is well. `whose` journals the disk fails: acquire, both, guard."""
        values = _FAULTS.pack(
            round(1e9 * clock_s),
            room_bytes,
            round(1e6 * stall_s),
            error,
            read_only,
            sync_error,
            dir_error,
            open_error,
            ("acquire", "both", "guard").index(whose),
            free_bytes,
        )
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.write(values)


class Plugin:
    """A laboratory's own driver package; orders are files that its threads look for."""

    def __init__(self, daemon: Daemon) -> None:
        self.folder = daemon.config.parent / "plugin"
        about = self.folder / "misbehaving-1.0.dist-info"
        about.mkdir(parents=True)
        (self.folder / "misbehaving.py").write_text(_PLUGIN)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            "[evapd.drivers]\nhog-tdc = misbehaving:HogTdc\nhang-gauge = misbehaving:HangGauge\n"
        )
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        for name in ("guard", "acquire"):
            daemon.env.setdefault(name, {})["PYTHONPATH"] = path
        # The twin goes on with the drivers' own names: by them it knows which instruments stand at the cables.
        content: dict[str, Any] = yaml.safe_load(daemon.config.read_text())
        content["devices"]["tdc"]["driver"] = "hog-tdc"
        content["devices"]["vacuum"]["driver"] = "hang-gauge"
        daemon.process_config = daemon.config.with_name("rig-plugin.yaml")
        daemon.process_config.write_text(yaml.safe_dump(content, sort_keys=False))

    def order(self, name: str, what: str) -> None:
        """Give the plugin in one process something to do; "" ends it."""
        part = self.folder / f"{name}.part"
        part.write_text(what)
        part.rename(self.folder / name)


class Manager:
    """The service manager's side of sd_notify; reads only when asked to."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        path = daemon.config.parent / f"notify-{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        daemon.env.setdefault(name, {}).update(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="2000000")

    def pings(self) -> int:
        """Take all that has come; gives how many of them were WATCHDOG=1."""
        count = 0
        while True:
            try:
                count += b"WATCHDOG=1" in self._socket.recv(4096).split(b"\n")
            except BlockingIOError:
                return count

    def close(self) -> None:
        """Be gone."""
        self._socket.close()
