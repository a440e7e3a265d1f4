"""One owner per port: the second is refused before a byte is sent."""

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from evapd.device import open_transport
from evapd.device.portlock import PortLock, lock_path
from evapd.errors import DeviceBusy, DeviceError, DeviceLost

_HOLD = """
import sys
from evapd.device import open_transport
link = open_transport(sys.argv[1], 2.0)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_in_this_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    first = PortLock(str(tmp_path / "port"))
    with pytest.raises(DeviceBusy, match=f"process {os.getpid()}; nothing was sent"):
        PortLock(str(tmp_path / "port"))
    first.release()


def test_a_released_lock_is_free_and_leaves_no_file(tmp_path: Path) -> None:
    first = PortLock(str(tmp_path / "port"))
    first.release()
    first.release()
    assert not first.path.exists()
    PortLock(str(tmp_path / "port")).release()


def test_a_lock_file_left_by_a_killed_program_does_not_lock(tmp_path: Path) -> None:
    port = str(tmp_path / "port")
    lock_path(port).write_text("99999\n")
    PortLock(port).release()


def test_ports_with_similar_names_have_different_locks() -> None:
    assert lock_path("/dev/tty-USB0") != lock_path("/dev/tty/USB0")


def test_a_lock_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    port = str(tmp_path / "port")
    lock_path(port).mkdir()
    with pytest.raises(DeviceError, match="lock file"):
        PortLock(port)
    lock_path(port).rmdir()


def test_the_second_owner_of_a_serial_port_sends_nothing(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    by_id = tmp_path / "by-id"
    by_id.symlink_to(os.ttyname(slave))
    os.set_blocking(master, False)
    first = open_transport(f"serial:{os.ttyname(slave)}:9600-8N1", 0.5)
    with pytest.raises(DeviceBusy):
        open_transport(f"serial:{by_id}:9600-8N1", 0.5)
    with pytest.raises(BlockingIOError):
        os.read(master, 1)
    first.close()
    open_transport(f"serial:{by_id}:9600-8N1", 0.5).close()
    os.close(slave)
    os.close(master)


def test_another_program_that_opened_the_serial_port_exclusively_keeps_it() -> None:
    master, slave = pty.openpty()
    fcntl.flock(slave, fcntl.LOCK_EX)  # as pyserial's exclusive=True does, without our lock file
    with pytest.raises(DeviceBusy, match="another program"):
        open_transport(f"serial:{os.ttyname(slave)}:9600-8N1", 0.5)
    os.close(slave)
    os.close(master)


def test_a_tcp_instrument_has_one_owner_and_is_free_after_sigkill() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-c", _HOLD, where]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            with pytest.raises(DeviceBusy, match=f"process {holder.pid}"):
                open_transport(where, 0.5)
            holder.send_signal(signal.SIGKILL)
            holder.wait(10)
        open_transport(where, 0.5).close()


def test_a_port_that_cannot_be_opened_is_free_again() -> None:
    for _ in range(2):
        with pytest.raises(DeviceLost):
            open_transport("unix:/nonexistent/tdc.sock", 0.1)
