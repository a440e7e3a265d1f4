"""From the bytes of a request to the bytes of its reply; pure but for the handlers it calls.

Every byte is treated as hostile: what carries a readable id gets an error reply, everything else is counted. An
`abort` that can be recognised is carried out, whatever else is wrong with it.
"""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from evapd.errors import ConfigError, EvapdError, RequestError
from evapd.rpc.audit import Asked, Audit
from evapd.rpc.bucket import READ_COST, Buckets
from evapd.rpc.caller import Caller, serving
from evapd.rpc.command import Command, NoArgs
from evapd.rpc.description import Description, describe
from evapd.rpc.lease import Holder, Lease
from evapd.rpc.memory import REPLY_BYTES, Done, Memory
from evapd.rpc.reply import failure, repeated, success
from evapd.rpc.request import Request, caller_of, explain, lenient_args, loosely, problems, read, usable_id
from evapd.security.roles import LOCAL, Peer, Role
from evapd.stream.jsontext import from_json, to_json

_DESCRIBED_S = 1.0

log = logging.getLogger(__name__)


class Dispatcher:
    """Checks a request, calls its handler once, and makes the reply.

    Args:
        commands: What is served; `describe` is added where it is missing.
        lease: Who commands; without one everybody with the role does.
        audit: Where commands are written down.
        buckets: How many requests a peer may make; 100 a second where none is given.
        lowering_waits: Whether what only lowers the energy may be refused for its rate, from a bucket of its own; else
            it is never refused for that.
        parameters: Gives what may be set and watched, for `describe`.
        clock: Monotonic seconds.

    Raises:
        ConfigError: when two commands have one name.
    """

    def __init__(
        self,
        commands: Iterable[Command],
        *,
        lease: Lease | None = None,
        audit: Audit | None = None,
        buckets: Buckets | None = None,
        lowering_waits: bool = True,
        parameters: Callable[[], list[dict[str, Any]]] = list,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        listed = list(commands)
        if all(command.name != "describe" for command in listed):
            doc = "Tell everything that this socket understands: commands, parameters, errors, limits."
            listed.append(
                Command(
                    "describe", NoArgs, lambda _: self.describe(), doc=doc, who=Role.READ,
                    result=Description, keep_s=_DESCRIBED_S,
                )
            )  # fmt: skip
        self._commands = {command.name: command for command in listed}
        if len(self._commands) != len(listed):
            raise ConfigError(f"two commands of one name among {sorted(command.name for command in listed)}")
        self._lease, self._audit, self._clock = lease, audit, clock
        self._buckets, self._lowering_waits = buckets or Buckets(), lowering_waits
        self._parameters = parameters
        self._described = describe(
            listed, self._buckets, leased=lease is not None
        )  # once: schemas take their time
        self._memory = Memory()
        self._kept: dict[
            str, tuple[float, bytes]
        ] = {}  # encoded results of reads, and until when they are good
        self.rejected = 0
        """Messages without a readable id; they got no reply."""
        self.requests: Counter[tuple[str, str]] = Counter()
        """Requests by command (`unknown` for none) and result: `ok`, or the kind of the error."""

    def describe(self) -> dict[str, Any]:
        """Tell what is understood, with the JSON schema of every request and reply."""
        return self._described | {"parameters": self._parameters()}

    def answer(self, routing_id: bytes, body: bytes, peer: Peer = LOCAL) -> bytes | None:
        """Answer one request; None where no reply is possible. Never raises.

        Args:
            routing_id: The connection.
            body: The request as it came.
            peer: Who asks, as the connection proved it.
        """
        content = _object_in(body)
        found = list(problems(content, len(body))) if content else []
        if not content and (content := self._abort_in(body)):
            found = ["this is not JSON as it should be: only its texts were read"]
        request_id = content["id"] if usable_id(content.get("id")) else None
        name = content.get("cmd")
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is not None and command.always:
            request = read(command, content, found, routing_id, peer)
            return self._carry_out(request, request_id, lenient_args(request), self._clock())
        if request_id is None:
            self.rejected += 1
            return None
        try:
            self._admit(routing_id, peer, command, content.get("args", {}))
            request = read(self._known(command, name, found), content, found, routing_id, peer)
            return self._serve(request, request_id, self._clock())
        except _Refusal as refused:
            self.requests["unknown" if command is None else command.name, refused.kind] += 1
            args, caller = content.get("args"), caller_of(content, peer)
            self._note(command, args if isinstance(args, dict) else {}, caller, refused)
            return failure(request_id, refused.kind, refused.message, refused.fields)

    def _abort_in(self, body: bytes) -> dict[str, Any]:
        """Give the object of a command that is carried out whatever is wrong with it; else an empty one."""
        content = loosely(body)
        command = self._commands.get(content.get("cmd", ""))
        return content if command is not None and command.always else {}

    def _known(self, command: Command | None, name: object, found: list[str]) -> Command:
        """Give the command of an envelope without a fault."""
        if found:
            raise _Refusal("InvalidRequest", found[0])
        if command is None:
            known = ", ".join(sorted(self._commands))
            raise _Refusal("InvalidRequest", f"unknown command {repr(name)[:80]}: there are {known}")
        return command

    def _admit(self, routing_id: bytes, peer: Peer, command: Command | None, args: object) -> None:
        """Let a request through, or refuse it because the peer asks too often.

        What only lowers the energy has a bucket of its own: who has used up what it may ask for can still go down.
        """
        lowers = command is not None and command.surely_lowers(args)
        if lowers and not self._lowering_waits:
            return
        bucket = _bucket(routing_id, peer) + (b" down" if lowers else b"")
        cost = READ_COST if command is not None and command.reads else 1.0
        wait_s = self._buckets.take(bucket, self._clock(), cost)
        if wait_s > 0.0:
            what = f"more than {self._buckets.rate_hz:g} commands a second, or too many reads: ask again in {wait_s:.3f} s"
            raise _Refusal("RateLimited", what, {"retry_after_s": round(wait_s, 6)})

    def _serve(self, request: Request, request_id: str, now_s: float) -> bytes:
        command, caller = request.command, request.caller
        digest = hashlib.blake2b(to_json([command.name, request.args]), digest_size=16).digest()
        done = self._memory.recall(request.owner, request_id)
        if done is not None and done.digest == digest:
            self.requests[command.name, "repeated"] += 1
            return done.reply
        if done is not None:
            what = f"id {request_id!r} was used for another request: take a new one"
            raise _Refusal("InvalidRequest", what)
        args = self._permitted(command, request.args, caller, now_s)
        if command.reads:
            return self._read_out(request, request_id, args, now_s)
        reply = self._carry_out(request, request_id, args, now_s)
        brief = reply if len(reply) <= REPLY_BYTES else repeated(request_id)
        self._memory.keep(request.owner, request_id, Done(digest, brief))
        return reply

    def _permitted(
        self, command: Command, args: dict[str, Any], caller: Caller, now_s: float
    ) -> dict[str, Any]:
        """Give the checked arguments of what this caller may ask for now."""
        if not caller.peer.role.allows(command.who):
            what = (
                f"{command.name} needs the role {command.who}, and {caller.peer.name} has {caller.peer.role}"
            )
            raise _Refusal("Forbidden", f"{what}: ask whoever keeps the allow-list")
        try:
            checked = command.model.model_validate(args).model_dump()
        except ValidationError as error:
            raise _Refusal("InvalidRequest", f"{command.name}: {explain(error)}") from None
        if self._lease is not None and not (
            command.passes(checked) or self._lease.admits(holder_of(caller), now_s)
        ):
            held = self._lease.refusal(now_s)
            raise _Refusal(held.kind, held.message, held.fields)
        return checked

    def _read_out(self, request: Request, request_id: str, args: dict[str, Any], now_s: float) -> bytes:
        """Answer a read, from what was encoded a moment ago where the command allows it."""
        command = request.command
        until_s, kept = self._kept.get(command.name, (0.0, b""))
        if now_s < until_s:
            self.requests[command.name, "ok"] += 1
            return success(request_id, kept)
        encoded = self._handle(request, args)
        self.requests[command.name, "ok"] += 1
        if command.keep_s:
            self._kept[command.name] = (now_s + command.keep_s, encoded)
        return success(request_id, encoded)

    def _carry_out(
        self, request: Request, request_id: str | None, args: dict[str, Any], now_s: float
    ) -> bytes:
        """Do what changes something, and write it down."""
        command, caller = request.command, request.caller
        try:
            encoded = self._handle(request, args)
        except _Refusal as refused:
            self.requests[command.name, refused.kind] += 1
            self._note(command, request.args, caller, refused)
            return failure(request_id, refused.kind, refused.message, refused.fields)
        finally:
            self._kept.clear()  # who commands, and then asks how things stand, sees what came of it
        self.requests[command.name, "ok"] += 1
        if self._lease is not None:
            self._lease.used(holder_of(caller), now_s)
        if command.news is None or command.news(from_json(encoded)):
            self._note(command, request.args, caller, problem="; ".join(request.problems))
        return success(request_id, encoded)

    def _handle(self, request: Request, args: dict[str, Any]) -> bytes:
        """Call the handler; gives the encoded result. Whatever goes wrong is a refusal with its kind."""
        command = request.command
        try:
            with serving(request.caller):
                result = dict(command.handler(args))
            if request.problems:
                result["problem"] = "; ".join(request.problems)
            return to_json(result)
        except RequestError as error:
            # The guard refused what was passed on: its reason is the client's.
            raise _Refusal(error.kind, error.message, error.fields) from None
        except EvapdError as error:
            raise _Refusal(type(error).__name__, str(error)) from None
        except Exception as error:
            # A fault in one handler must not take the service, and with it abort, away.
            log.exception("command %s failed", command.name)
            what = f"{command.name}: {type(error).__name__}: {error}; see the daemon's log"
            raise _Refusal("InternalError", what) from None

    def _note(
        self,
        command: Command | None,
        args: Mapping[str, Any],
        caller: Caller,
        refused: "_Refusal | None" = None,
        *,
        problem: str = "",
    ) -> None:
        """Write a command down; what is none, what came too often, and a read that was refused, is only counted."""
        if self._audit is None:
            return
        kind, message = (refused.kind, refused.message) if refused is not None else ("", "")
        if command is None or command.reads or kind == "RateLimited":
            self._audit.counted(kind, caller)
        else:
            self._audit.asked(Asked(command.name, args, caller, kind, message, problem), self._clock())


class _Refusal(Exception):
    """A request that is not carried out: kind, text for a person, and more of its error object for programs."""

    def __init__(self, kind: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.fields = kind, message, fields or {}


def holder_of(caller: Caller) -> Holder:
    """Give a caller as one who may hold the lease."""
    return Holder(caller.peer.name, caller.client)


def _object_in(body: bytes) -> dict[str, Any]:
    """Give the object that a body carries; an empty one where it carries none."""
    try:
        content = from_json(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _bucket(routing_id: bytes, peer: Peer) -> bytes:
    """Whose bucket: a connection without a key is a peer of its own, so one local program takes nothing from another."""
    return routing_id if peer.name == LOCAL.name else b"peer " + peer.name.encode()
