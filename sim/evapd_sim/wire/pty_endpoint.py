"""A pseudo-terminal under a name, in place of a serial port."""

import errno
import fcntl
import os
import pty
import struct
import tty
from pathlib import Path

# Linux's TCGETS2: unlike tcgetattr it gives any speed as a number. Flags, line, control characters, speeds in and out.
_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("<4IB19s2I")
_READ_BYTES = 4096


class PtyEndpoint:
    """A pseudo-terminal and a symbolic link at `path` to it.

    The instrument keeps its own descriptor of the terminal open, so a reader may close and reopen the port. The kernel lets
    a reader set the speed of a pseudo-terminal and remembers it, but always keeps 8 data bits without parity: of a
    reader's settings only the speed can be checked.

    Args:
        path: where the link appears.
        baud: speed that the instrument is set to; may be changed while it is open.
    """

    def __init__(self, path: str, baud: int) -> None:
        self._path = Path(path)
        self.baud = baud
        self._master = -1
        self._slave = -1
        self.overruns = 0  # bytes lost because nobody read them: the line has no flow control

    @property
    def address(self) -> str:
        """Descriptor of the reader's side."""
        return f"serial:{self._path}:{self.baud}"

    def open(self) -> None:
        """Make the terminal and the link."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and not self._path.is_symlink():
            raise FileExistsError(f"{self._path} exists and is not a link to a terminal")
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # no echo before a reader has set it up
        os.set_blocking(self._master, False)
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self._path)

    def close(self) -> None:
        """Remove terminal and link; a reader sees the port vanish. Idempotent."""
        if self._master < 0:
            return
        if self._path.is_symlink() and str(self._path.readlink()) == os.ttyname(self._slave):
            self._path.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def listening(self) -> list[int]:
        """Give the master side."""
        return [] if self._master < 0 else [self._master]

    def writing(self) -> int:
        """Give the master side: a line can be written to whether anybody listens or not."""
        return self._master

    def read(self) -> tuple[bytes, bool]:
        """Read what the reader sent; whether it closed its port cannot be seen."""
        try:
            return os.read(self._master, _READ_BYTES), False
        except BlockingIOError:
            return b"", False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b"", False

    def write(self, data: memoryview) -> int:
        """Write; what the reader's buffer cannot take is lost, as on a line without flow control."""
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.overruns += len(data) - written
        return len(data)

    def understands(self) -> bool:
        """Whether the reader has set the speed that the instrument has."""
        settings = bytearray(_TERMIOS2.size)
        fcntl.ioctl(self._master, _TCGETS2, settings)
        *_, speed_in, speed_out = _TERMIOS2.unpack(settings)
        return bool(speed_in == speed_out == self.baud)
