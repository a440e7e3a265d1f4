"""Requests and replies as the asking side writes and reads them; the same for threads and for asyncio."""

from collections.abc import Mapping
from typing import Any

from evapd.errors import RequestTimeout, StreamError, refusal
from evapd.rpc.request import VERSION
from evapd.stream.jsontext import from_json, to_json

MAX_REPLY_BYTES = 16 * 1024 * 1024


def request_body(
    client: str,
    request_id: str,
    command: str,
    args: dict[str, Any],
    asked_by: Mapping[str, str] | None = None,
) -> bytes:
    """Encode a request; `asked_by` tells for whom this program asks."""
    envelope = {"v": VERSION, "id": request_id, "client": client, "cmd": command, "args": args}
    return to_json(envelope | ({"asked_by": asked_by} if asked_by else {}))


def reply_in(parts: list[bytes]) -> tuple[str, dict[str, Any]] | None:
    """Read which request a message answers, and the reply; None for what is not a reply."""
    try:
        reply = from_json(parts[-1])
    except ValueError:
        return None
    if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
        return None
    return reply["id"], reply


def result_of(reply: dict[str, Any]) -> dict[str, Any]:
    """Give what a reply brings.

    Raises:
        RequestError: when it is a refusal; of its own class where the kind has one.
        StreamError: when it is neither.
    """
    if reply.get("ok") is True and isinstance(reply.get("result"), dict):
        result: dict[str, Any] = reply["result"]
        return result
    error = reply.get("error")
    if isinstance(error, dict):
        raise refusal(error)
    raise StreamError(f"the reply is neither a result nor an error: {str(reply)[:200]}")


def silence(command: str, address: str, limit_s: float, request_id: str, *, sent: bool) -> RequestTimeout:
    """Make the error of a request that nobody answered."""
    said = "whether it was executed is not known" if sent else "it was not sent"
    return RequestTimeout(
        f"no answer to {command!r} from {address} within {limit_s:g} s ({said}): is evapd running there?",
        sent=sent,
        request_id=request_id,
    )
