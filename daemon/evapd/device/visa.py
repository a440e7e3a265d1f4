"""VISA resources through pyvisa with its pure Python backend."""

from typing import Any

import pyvisa
from pyvisa import constants
from pyvisa.errors import VisaIOError

from evapd.config.descriptor import VisaDescriptor
from evapd.device.portlock import PortLock
from evapd.device.transport import BufferedTransport, Terms
from evapd.errors import DeviceBusy, DeviceLost, DeviceTimeout

_QUIET = (
    constants.StatusCode.success_max_count_read,
    constants.StatusCode.success_termination_character_read,
)
_BUSY = {constants.StatusCode.error_resource_busy, constants.StatusCode.error_resource_locked}


def open_visa(descriptor: VisaDescriptor, terms: Terms) -> "VisaTransport":
    """Open a VISA resource; see `open_transport`."""
    lock = PortLock(str(descriptor).lower())
    try:
        # One manager serves the whole process: the library keeps it, and closing it would close every session.
        manager = pyvisa.ResourceManager("@py")
        resource = manager.open_resource(
            descriptor.resource, open_timeout=max(1, round(terms.timeout_s * 1000.0))
        )
    except Exception as error:
        lock.release()
        if isinstance(error, VisaIOError) and error.error_code in _BUSY:
            raise DeviceBusy(f"{descriptor} is open in another program; nothing was sent") from error
        # The backend raises bare exceptions for a refused connection and for a library that is missing.
        raise DeviceLost(f"{descriptor} cannot be opened: {error}") from error
    return VisaTransport(str(descriptor), resource, lock, terms)


class VisaTransport(BufferedTransport):
    """Raw reads and writes on one VISA session.

    A link that is a stream (socket, serial) is read one byte at a time, because a longer VISA read waits for its whole
    count or the time-out; a link of messages (VXI-11, HiSLIP, USBTMC, GPIB) is read a message at a time. The
    backend does not tell a closed socket from silence: that appears as `DeviceTimeout`.
    """

    def __init__(self, name: str, resource: Any, lock: PortLock, terms: Terms) -> None:
        super().__init__(name, terms)
        self._resource = resource
        self._lock = lock
        stream = (
            resource.resource_class == "SOCKET" or resource.interface_type == constants.InterfaceType.asrl
        )
        self._piece = 1 if stream else 65536

    def _receive(self, limit: int, timeout_s: float) -> bytes:
        self._set_timeout(timeout_s)
        try:
            with self._resource.ignore_warning(*_QUIET):
                data, _ = self._resource.visalib.read(self._resource.session, min(limit, self._piece))
        except VisaIOError as error:
            if error.error_code == constants.StatusCode.error_timeout:
                return b""
            raise DeviceLost(f"{self.name}: {error}") from error
        except OSError as error:
            raise DeviceLost(f"{self.name}: the link broke: {error}") from error
        return bytes(data)

    def _send(self, data: bytes, timeout_s: float) -> None:
        self._set_timeout(timeout_s)
        try:
            sent = self._resource.write_raw(data)
        except VisaIOError as error:
            if error.error_code == constants.StatusCode.error_timeout:
                raise DeviceTimeout(f"{self.name}: {len(data)} bytes not taken in {timeout_s:g} s") from error
            raise DeviceLost(f"{self.name}: {error}") from error
        except OSError as error:
            raise DeviceLost(f"{self.name}: the link broke: {error}") from error
        if sent != len(data):
            raise DeviceLost(f"{self.name}: {sent} of {len(data)} bytes were sent")

    def _set_timeout(self, timeout_s: float) -> None:
        self._resource.timeout = max(1.0, timeout_s * 1000.0)  # ms; 0 would mean for ever in the backend

    def _shut(self) -> None:
        try:
            self._resource.close()
        except (VisaIOError, OSError) as error:
            # The session is gone already; there is nobody left to close it for.
            if self._trace:
                self._trace("read", f"close: {error}".encode())
        finally:
            self._lock.release()
