"""One tree of errors, grouped by who must act.

Every message says what happened, where, and what to do about it.
"""

from collections.abc import Mapping, Sequence
from typing import Any


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


class StateError(EvapdError):
    """The request does not fit the present state; nothing was changed."""


class RequestError(StreamError):
    """The daemon answered a request with an error; `kind` names its class, `message` is for a person.

    `fields` holds what else its error object says, for programs.
    """

    def __init__(self, kind: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(kind, message, dict(fields or {}))
        self.kind = kind
        self.message = message
        self.fields: dict[str, Any] = dict(fields or {})

    def __str__(self) -> str:
        return f"{self.message} [{self.kind}]"


class Forbidden(RequestError):
    """The key of this connection may not do it: ask whoever keeps the allow-list."""


class LeaseHeld(RequestError):
    """Somebody else commands at present: wait, ask them, or take over with force."""

    @property
    def holder(self) -> str:
        """Name of the holder's key, or "local"."""
        return str(self.fields.get("holder", ""))

    @property
    def client(self) -> str:
        """What the holder's program calls itself."""
        return str(self.fields.get("client", ""))

    @property
    def remaining_s(self) -> float | None:
        """After this time the lease is over, unless it is renewed; None when not told."""
        return _number(self.fields.get("remaining_s"))


class RateLimited(RequestError):
    """Too many requests; nothing was changed."""

    @property
    def retry_after_s(self) -> float | None:
        """After this time the next one is let through; None when not told."""
        return _number(self.fields.get("retry_after_s"))


_REFUSALS: dict[str, type[RequestError]] = {
    kind.__name__: kind for kind in (Forbidden, LeaseHeld, RateLimited)
}


def refusal(error: Mapping[str, Any]) -> RequestError:
    """Make the error of what the daemon answered: `kind`, `message`, and whatever belongs to that kind."""
    kind, message = str(error.get("kind", "")), str(error.get("message", ""))
    fields = {key: value for key, value in error.items() if key not in ("kind", "message")}
    return _REFUSALS.get(kind, RequestError)(kind, message, fields)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


class LeaseLost(StateError):
    """This client commanded, and does no longer: somebody took over, or the daemon was restarted."""


class RequestTimeout(StreamError):
    """No answer in time.

    Attributes:
        sent: False: the request never left, it is certainly not executed. True: whether it was executed is not known.
        request_id: Asked again under this id, the same start of the daemon executes it at most once.
    """

    def __init__(self, message: str = "", *, sent: bool = True, request_id: str = "") -> None:
        super().__init__(message)
        self.sent = sent
        self.request_id = request_id


class RecordError(EvapdError):
    """The disk cannot take the run: space, permission, I/O error."""


class LinkError(EvapdError):
    """The link between guard and acquire failed."""
