"""What a request must look like, and what it says; every value in it is somebody else's word."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from evapd.rpc.caller import Caller
from evapd.rpc.command import Command
from evapd.security.roles import Peer
from evapd.stream.jsontext import to_json

VERSION = 1
MAX_REQUEST_BYTES = 64 * 1024
MAX_ID_LENGTH = 64
ENVELOPE = ("v", "id", "cmd", "args", "client", "asked_by")
ASKED_BY = ("peer", "client", "id", "name")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was read; `owner` tells whose ids and whose memory it belongs to."""

    command: Command
    args: dict[str, Any]
    caller: Caller
    owner: bytes
    problems: list[str] = field(default_factory=list)  # of a command that is carried out all the same


# Reads on where a strict reader stops, so that an abort is heard: numbers that nobody asked for become null.
_LOOSE = json.JSONDecoder(parse_constant=lambda _: None, parse_float=lambda _: None, parse_int=lambda _: None)


def loosely(body: bytes) -> dict[str, Any]:
    """Give the texts of an object that is not JSON as evapd reads it; an empty one where there is none.

    For aborts only, from a program with a fault: NaN, numbers without an end, deep nesting, bytes that are not UTF-8 or
    stand behind the object (the closing zero of a C string).
    """
    try:
        content, _ = _LOOSE.raw_decode(body.decode(errors="replace").lstrip())
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    args = content.get("args")
    told = {key: value for key, value in content.items() if isinstance(value, str) and "\ufffd" not in value}
    return told | {
        "args": {k: v for k, v in args.items() if isinstance(v, str)} if isinstance(args, dict) else {}
    }


def usable_id(value: object) -> bool:
    """Whether a reply can be given under this id."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH


def problems(content: Mapping[str, Any], nbytes: int) -> Iterator[str]:
    """Say what is wrong with an envelope, the command's name and arguments left aside."""
    if nbytes > MAX_REQUEST_BYTES:
        yield f"a request of {nbytes} bytes: at most {MAX_REQUEST_BYTES} are read"
    version = content.get("v")
    if version != VERSION or isinstance(version, bool):
        yield f"version {_short(version)} of the request: this daemon speaks version {VERSION}"
    if unknown := [key for key in content if key not in ENVELOPE]:
        yield f"the envelope has no key {_short(unknown[0])}: it has {', '.join(ENVELOPE)}"
    if not usable_id(content.get("id")):
        yield f"id must be a text of 1 to {MAX_ID_LENGTH} characters"
    if not isinstance(content.get("args", {}), dict):
        yield "args must be an object with the arguments by name"
    client = content.get("client", "")
    if not isinstance(client, str) or len(client) > MAX_ID_LENGTH:
        yield f"client must be a text of at most {MAX_ID_LENGTH} characters"
    if "asked_by" in content and _asked_by(content["asked_by"]) is None:
        yield f"asked_by must be an object of texts of at most {MAX_ID_LENGTH} characters: {', '.join(ASKED_BY)}"


def caller_of(content: Mapping[str, Any], peer: Peer) -> Caller:
    """Give who asks; what is not as it should be is left out."""
    client, request_id = content.get("client"), content.get("id")
    return Caller(
        peer,
        client if isinstance(client, str) and len(client) <= MAX_ID_LENGTH else "",
        request_id if isinstance(request_id, str) and usable_id(request_id) else "",
        _asked_by(content.get("asked_by")) or {},
    )


def read(
    command: Command, content: Mapping[str, Any], found: list[str], routing_id: bytes, peer: Peer
) -> Request:
    """Give the request that an envelope carries.

    A client that names itself keeps its memory over a reconnect, which gives its socket a new routing id. A name
    counts only together with the key it was said under.
    """
    caller, args = caller_of(content, peer), content.get("args", {})
    kind, who = ("client", caller.client) if caller.client else ("connection", routing_id.hex())
    return Request(
        command, args if isinstance(args, dict) else {}, caller, to_json([kind, peer.name, who]), found
    )


def lenient_args(request: Request) -> dict[str, Any]:
    """Take of the arguments what is right; the rest are defaults, and remarked."""
    model = request.command.model
    try:
        return model.model_validate(request.args).model_dump()
    except ValidationError as error:
        request.problems.append(f"{request.command.name}: {explain(error)}")
        wrong = {entry["loc"][0] for entry in error.errors() if entry["loc"]}
    right = {key: value for key, value in request.args.items() if key not in wrong}
    try:
        return model.model_validate(right).model_dump()
    except ValidationError:
        return model().model_dump()


def explain(error: ValidationError) -> str:
    """Give the first errors in words."""
    return "; ".join(
        f"{'.'.join(str(part)[:40] for part in entry['loc']) or 'args'}: {entry['msg']}"
        for entry in error.errors()[:8]
    )


def _asked_by(said: object) -> dict[str, str] | None:
    fits = isinstance(said, dict) and all(
        key in ASKED_BY and isinstance(value, str) and len(value) <= MAX_ID_LENGTH
        for key, value in said.items()
    )
    return dict(said) if fits and isinstance(said, dict) else None


def _short(value: object) -> str:
    return repr(value)[:40]
