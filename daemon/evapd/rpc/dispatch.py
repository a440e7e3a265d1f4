"""From the bytes of a request to the bytes of its reply; pure but for the handlers it calls.

Every byte is treated as hostile: what carries a readable id gets an error reply, everything else is counted.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from evapd.errors import ConfigError, EvapdError
from evapd.security.roles import LOCAL, Peer, Role
from evapd.stream.jsontext import from_json, to_json

VERSION = 1
MAX_REQUEST_BYTES = 64 * 1024
MAX_ID_LENGTH = 64
_REMEMBERED_PER_PEER = 64
_REMEMBERED_PEERS = 64
_REMEMBERED_REPLY_BYTES = 16 * 1024  # a longer reply is remembered as "done", its content is asked for again

log = logging.getLogger(__name__)
Handler = Callable[[dict[str, Any]], dict[str, Any]]


class Args(BaseModel):
    """Base of a command's arguments: unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoArgs(Args):
    """A command without arguments."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a service.

    `handler` gets every field of `model` (defaults filled in) as a dict and returns the result as a dict. It runs
    on the service's thread, so it only takes note of what is to be done and returns at once: a slow handler would
    keep an `abort` waiting. It refuses by raising an EvapdError. `energy` says that it may raise or lower the
    energy at the specimen. `who` is the least role that may ask for it; `abort` belongs to everybody.
    """

    name: str
    model: type[BaseModel]
    handler: Handler
    energy: bool = False
    doc: str = ""
    who: Role = Role.OPERATE


class _Refused(Exception):
    """A request that cannot be executed; the text goes to the client."""


@dataclass(frozen=True, slots=True)
class _Done:
    digest: bytes
    reply: bytes


class _Memory:
    """The last replies of the last peers, oldest forgotten first; bounded whatever the peers do."""

    def __init__(self) -> None:
        self._peers: OrderedDict[bytes, OrderedDict[str, _Done]] = OrderedDict()

    def recall(self, peer: bytes, request_id: str) -> _Done | None:
        replies = self._peers.get(peer)
        return None if replies is None else replies.get(request_id)

    def keep(self, peer: bytes, request_id: str, done: _Done) -> None:
        replies = self._peers.setdefault(peer, OrderedDict())
        self._peers.move_to_end(peer)
        replies[request_id] = done
        if len(replies) > _REMEMBERED_PER_PEER:
            replies.popitem(last=False)
        if len(self._peers) > _REMEMBERED_PEERS:
            self._peers.popitem(last=False)


class Dispatcher:
    """Checks a request, calls its handler once, and makes the reply.

    Args:
        commands: What is served. `describe` is added where it is missing.

    Raises:
        ConfigError: when two commands have one name.
    """

    def __init__(self, commands: Iterable[Command]) -> None:
        listed = list(commands)
        if all(command.name != "describe" for command in listed):
            listed.append(
                Command(
                    "describe",
                    NoArgs,
                    lambda _: self.describe(),
                    doc="List the commands and their arguments.",
                    who=Role.READ,
                )
            )
        self._commands = {command.name: command for command in listed}
        if len(self._commands) != len(listed):
            raise ConfigError(f"two commands of one name among {sorted(command.name for command in listed)}")
        self._memory = _Memory()
        self.rejected = 0
        """Messages without a readable id; they got no reply."""

    def describe(self) -> dict[str, Any]:
        """List the commands with the JSON schema of their arguments."""
        return {
            "v": VERSION,
            "commands": [
                {
                    "name": command.name,
                    "doc": command.doc,
                    "energy": command.energy,
                    "args": command.model.model_json_schema(),
                }
                for command in self._commands.values()
            ],
        }

    def answer(self, routing_id: bytes, body: bytes, peer: Peer = LOCAL) -> bytes | None:
        """Answer one request; None where no reply is possible. Never raises.

        Args:
            routing_id: The connection.
            body: The request as it came.
            peer: Who asks, as the connection proved it.
        """
        try:
            request = from_json(body)
            request_id = request["id"]
        except (ValueError, TypeError, KeyError):
            request_id = None
        if not isinstance(request_id, str) or not 0 < len(request_id) <= MAX_ID_LENGTH:
            self.rejected += 1
            return None
        try:
            command, args, client = self._read(request, len(body))
        except _Refused as refused:
            return _failure(request_id, "InvalidRequest", str(refused))
        needed = self._commands[command].who
        if not peer.role.allows(needed):
            return _failure(
                request_id,
                "Forbidden",
                f"{command} needs the role {needed}, and {peer.name} has {peer.role}: ask whoever keeps the allow-list",
            )
        # A client that names itself keeps its memory over a reconnect, which gives its socket a new routing id.
        # A name counts only together with the key it was said under.
        owner = to_json(["client", peer.name, client]) if client else b"socket " + routing_id
        digest = hashlib.blake2b(to_json([command, args]), digest_size=16).digest()
        done = self._memory.recall(owner, request_id)
        if done is None:
            done = _Done(digest, self._execute(request_id, command, args))
            brief = done.reply if len(done.reply) <= _REMEMBERED_REPLY_BYTES else _repeat(request_id)
            self._memory.keep(owner, request_id, _Done(digest, brief))
        elif done.digest != digest:
            return _failure(
                request_id,
                "InvalidRequest",
                f"id {request_id!r} was used for another request: take a new one",
            )
        return done.reply

    def _read(self, request: dict[str, Any], nbytes: int) -> tuple[str, dict[str, Any], str]:
        if nbytes > MAX_REQUEST_BYTES:
            raise _Refused(f"a request of {nbytes} bytes: at most {MAX_REQUEST_BYTES} are read")
        if request.get("v") != VERSION:
            raise _Refused(
                f"version {request.get('v')!r} of the request: this daemon speaks version {VERSION}"
            )
        command, args, client = request.get("cmd"), request.get("args", {}), request.get("client", "")
        if not isinstance(command, str) or command not in self._commands:
            raise _Refused(f"unknown command {command!r}: there are {', '.join(sorted(self._commands))}")
        if not isinstance(args, dict):
            raise _Refused(f"args of {command} must be an object with the arguments by name")
        if not isinstance(client, str) or len(client) > MAX_ID_LENGTH:
            raise _Refused(f"client must be a text of at most {MAX_ID_LENGTH} characters")
        return command, args, client

    def _execute(self, request_id: str, name: str, args: dict[str, Any]) -> bytes:
        command = self._commands[name]
        try:
            checked = command.model.model_validate(args).model_dump()
        except ValidationError as error:
            return _failure(request_id, "InvalidRequest", f"{name}: {_explain(error)}")
        try:
            result = dict(command.handler(checked))
            return to_json({"v": VERSION, "id": request_id, "ok": True, "result": result})
        except EvapdError as error:
            return _failure(request_id, type(error).__name__, str(error))
        except Exception as error:
            # A fault in one handler must not take the service, and with it abort, away.
            log.exception("command %s failed", name)
            return _failure(
                request_id, "InternalError", f"{name}: {type(error).__name__}: {error}; see the daemon's log"
            )


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, entry['loc'])) or 'args'}: {entry['msg']}" for entry in error.errors()[:8]
    )


def _failure(request_id: str, kind: str, message: str) -> bytes:
    error = {"kind": kind, "message": message}
    return to_json({"v": VERSION, "id": request_id, "ok": False, "error": error})


def _repeat(request_id: str) -> bytes:
    return _failure(
        request_id,
        "InvalidRequest",
        "this request was executed before; its reply was too long to keep: ask again",
    )
