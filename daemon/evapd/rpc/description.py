"""What a service tells of itself: JSON schemas of every request and reply, errors with their meaning, limits."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from evapd.rpc.bucket import READ_COST, Buckets
from evapd.rpc.command import Command, Result
from evapd.rpc.memory import CLIENTS, PER_CLIENT, REPLY_BYTES
from evapd.rpc.request import ASKED_BY, MAX_ID_LENGTH, MAX_REQUEST_BYTES, VERSION

ERRORS: dict[str, tuple[str, str]] = {
    "InvalidRequest": ("envelope, command or arguments are not as described", "no"),
    "Forbidden": ("the key of this connection has not the role for it", "no"),
    "LeaseHeld": ("somebody else commands: `holder`, `client`, and `remaining_s` until the lease ends", "no"),
    "RateLimited": ("too many requests: the next one is let through after `retry_after_s`", "no"),
    "StateError": ("does not fit the present state", "no"),
    "LimitError": ("a value outside the configured limits", "no"),
    "DeviceError": ("an instrument did not do it", "perhaps"),
    "DeviceTimeout": ("an instrument did not answer in time", "perhaps"),
    "DeviceLost": ("the link to an instrument is gone", "perhaps"),
    "DeviceProtocolError": ("an instrument answered what it may not answer", "perhaps"),
    "DeviceRefused": ("an instrument understood and refused", "no"),
    "DeviceIdentityError": ("another instrument answers than the rig file names", "no"),
    "DeviceBusy": ("another program holds the instrument's port", "no"),
    "RequestTimeout": ("the guard, to which this was passed on, did not answer", "perhaps"),
    "StreamError": ("the guard answered what is no reply", "perhaps"),
    "LinkError": ("the link between acquire and the guard failed", "perhaps"),
    "RecordError": ("the disk could not take it", "perhaps"),
    "ConfigError": ("the rig file does not allow it", "no"),
    "InternalError": ("a fault in evapd; its log has the details", "perhaps"),
}
"""Every kind of error a reply may carry: what it means, and whether something may have been changed. More may come."""


class CommandDescription(Result):
    """One command."""

    name: str
    doc: str
    energy: bool
    who: str
    reads: bool
    lease: str
    always: bool
    args: dict[str, Any]
    result: dict[str, Any]


class ErrorDescription(Result):
    """One kind of error."""

    kind: str
    meaning: str
    changed: str


class Parameter(Result):
    """Something that may be set or watched: what it is, between which limits, how it stands."""

    name: str
    type: str
    unit: str
    doc: str
    settable: bool
    value: Any = None
    min: float | None = None
    max: float | None = None
    choices: list[str] | None = None
    command: str | None = None
    argument: str | None = None
    who: str


class Description(Result):
    """Answer to `describe`."""

    v: int
    commands: list[CommandDescription]
    request: dict[str, Any]
    reply: dict[str, Any]
    errors: list[ErrorDescription]
    limits: dict[str, float]
    parameters: list[Parameter]


def describe(commands: Sequence[Command], buckets: Buckets, *, leased: bool) -> dict[str, Any]:
    """Describe a service, its parameters left aside; `leased`: it heeds a lease."""
    return {
        "v": VERSION,
        "commands": [_command(command, leased=leased) for command in commands],
        "request": request_schema([command.name for command in commands]),
        "reply": reply_schema(),
        "errors": [
            {"kind": kind, "meaning": meaning, "changed": changed}
            for kind, (meaning, changed) in ERRORS.items()
        ],
        "limits": {
            "request_bytes": MAX_REQUEST_BYTES,
            "id_characters": MAX_ID_LENGTH,
            "client_characters": MAX_ID_LENGTH,
            "commands_per_s": buckets.rate_hz,
            "commands_at_once": buckets.burst,
            "read_cost": READ_COST,
            "remembered_requests": PER_CLIENT,
            "remembered_clients": CLIENTS,
            "remembered_reply_bytes": REPLY_BYTES,
        },
    }


def request_schema(commands: Sequence[str]) -> dict[str, Any]:
    """Give the JSON schema of the envelope of a request."""
    name = {"type": "string", "maxLength": MAX_ID_LENGTH}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Request",
        "type": "object",
        "properties": {
            "v": {"const": VERSION},
            "id": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH},
            "cmd": {"enum": list(commands)},
            "args": {"type": "object"},
            "client": name,
            "asked_by": {
                "type": "object",
                "properties": dict.fromkeys(ASKED_BY, name),
                "additionalProperties": False,
            },
        },
        "required": ["v", "id", "cmd"],
        "additionalProperties": False,
    }


def reply_schema() -> dict[str, Any]:
    """Give the JSON schema of the envelope of a reply; `result` is that of the command."""
    # An abort is carried out, and answered, also without a readable id.
    head = {"v": {"const": VERSION}, "id": {"type": ["string", "null"], "maxLength": MAX_ID_LENGTH}}
    error = {
        "type": "object",
        "properties": {
            "kind": {"type": "string"},
            "message": {"type": "string"},
            "retry_after_s": {"type": "number", "minimum": 0},
            "holder": {"type": "string"},
            "client": {"type": "string"},
            "remaining_s": {"type": "number", "minimum": 0},
        },
        "required": ["kind", "message"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Reply",
        "oneOf": [
            {
                "type": "object",
                "properties": {**head, "ok": {"const": True}, "result": {"type": "object"}},
                "required": ["v", "id", "ok", "result"],
            },
            {
                "type": "object",
                "properties": {**head, "ok": {"const": False}, "error": error},
                "required": ["v", "id", "ok", "error"],
            },
        ],
    }


def _command(command: Command, *, leased: bool) -> dict[str, Any]:
    return {
        "name": command.name,
        "doc": command.doc,
        "energy": command.energy,
        "who": str(command.who),
        "reads": command.reads,
        "lease": command.lease_rule if leased else "not needed",
        "always": command.always,
        "args": _schema(command.model),
        "result": _schema(command.result, mode="serialization"),
    }


def _schema(model: type[BaseModel], mode: Any = "validation") -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema(mode=mode)
