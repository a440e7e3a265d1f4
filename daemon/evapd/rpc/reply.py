"""Replies as bytes."""

from collections.abc import Mapping
from typing import Any

from evapd.rpc.request import VERSION
from evapd.stream.jsontext import to_json


def success(request_id: str | None, result: bytes) -> bytes:
    """Encode a reply around a result that is JSON already."""
    head = to_json({"v": VERSION, "id": request_id, "ok": True})
    return head[:-1] + b',"result":' + result + b"}"


def failure(
    request_id: str | None, kind: str, message: str, fields: Mapping[str, Any] | None = None
) -> bytes:
    """Encode a refusal; `fields` are more of its error object, for programs."""
    error = {**(fields or {}), "kind": kind, "message": message}
    return to_json({"v": VERSION, "id": request_id, "ok": False, "error": error})


def repeated(request_id: str) -> bytes:
    """Encode what stands for a reply that was too long to keep."""
    return failure(
        request_id,
        "InvalidRequest",
        "this request was executed before; its reply was too long to keep: ask again",
    )
