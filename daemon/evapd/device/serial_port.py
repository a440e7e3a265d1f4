"""Serial ports: opened exclusively, with a lock file beside the driver's own lock."""

import errno
import os

import serial

from evapd.config.descriptor import SerialDescriptor
from evapd.device.filedescriptor import FileTransport
from evapd.device.portlock import PortLock
from evapd.device.transport import Terms
from evapd.errors import DeviceBusy, DeviceLost

_BUSY = {errno.EBUSY, errno.EAGAIN}


def open_serial(descriptor: SerialDescriptor, terms: Terms) -> FileTransport:
    """Open a serial port; see `open_transport`."""
    # All names of one port (by-id links, ttyUSB0) must find the same lock.
    lock = PortLock(os.path.realpath(descriptor.path))
    try:
        port = serial.Serial(
            descriptor.path,
            baudrate=descriptor.baud,
            bytesize=descriptor.bits,
            parity=descriptor.parity,
            stopbits=descriptor.stop,
            rtscts=descriptor.flow == "rtscts",
            xonxoff=descriptor.flow == "xonxoff",
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        port.reset_input_buffer()
    except (OSError, ValueError) as error:  # SerialException is an OSError
        lock.release()
        if getattr(error, "errno", None) in _BUSY or "exclusively lock" in str(error):
            raise DeviceBusy(f"{descriptor} is open in another program; nothing was sent: {error}") from error
        raise DeviceLost(
            f"{descriptor} cannot be opened: {error}; check the cable and the permissions"
        ) from error
    except BaseException:
        lock.release()
        raise
    return FileTransport(str(descriptor), port.fileno(), port.close, lock, terms)
