"""One tree of errors, grouped by who must act.

Every message says what happened, where, and what to do about it.
"""

from collections.abc import Sequence


class EvapdError(Exception):
    """Base of every error that evapd raises on purpose."""


class ConfigError(EvapdError):
    """The person who wrote the configuration must act; `problems` lists each error with its place in the file."""

    def __init__(self, message: str = "", problems: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class DeviceError(EvapdError):
    """Somebody must look at an instrument or its cable."""


class DeviceTimeout(DeviceError):
    """No complete reply within the deadline; the link is dropped and reopened before the next question."""


class DeviceLost(DeviceError):
    """The link is gone: unplugged, refused, closed by the other side."""


class DeviceProtocolError(DeviceError):
    """The reply is not one that this instrument may give; it never becomes a reading."""


class DeviceRefused(DeviceError):
    """The instrument understood and refused: limit, interlock, local mode, trip."""


class DeviceIdentityError(DeviceError):
    """Another instrument, or another serial number, answers than the configuration names."""


class DeviceBusy(DeviceError):
    """Another program holds the port; nothing was sent."""


class LimitError(DeviceError):
    """A value outside the configured or rated range; refused before a byte was sent."""


class StreamError(EvapdError):
    """A frame, socket or file of frames is not what the protocol page says."""


class FrameError(StreamError):
    """Bytes that are not a frame, or a frame whose checksum fails."""


class RequestError(StreamError):
    """The daemon answered a request with an error; `kind` names its class, `message` is for a person."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.kind}]"


class RequestTimeout(StreamError):
    """No answer in time; whether the request was executed is not known."""


class RecordError(EvapdError):
    """The disk cannot take the run: space, permission, I/O error."""


class StateError(EvapdError):
    """The request does not fit the present state; nothing was changed."""


class LinkError(EvapdError):
    """The link between guard and acquire failed."""
