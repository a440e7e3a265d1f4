"""The body of a command: JSON of bounded length and depth, whole within a few seconds."""

import asyncio
import json
import math
from typing import Any

from starlette.requests import ClientDisconnect, Request

from evapd.web.access import Refusal

MOST_BYTES = 64 * 1024
BODY_S = 5.0
_MOST_DEPTH = 16  # the control socket gives no reply to what is nested more than 32 levels


async def read_json(request: Request) -> dict[str, Any] | Refusal:
    """Give the object that a request carries, or why it is none."""
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    return Refusal(413, "the request is too long")
    except TimeoutError:
        return Refusal(408, f"the request was not whole within {BODY_S:g} s")
    except ClientDisconnect:
        return Refusal(400, "the request was broken off")
    return parse(body)


def parse(body: bytes) -> dict[str, Any] | Refusal:
    """Read a body. NaN and infinity are no JSON: passed on as null they would mean "all", or "leave it as it is".

    An abort is taken whatever numbers stand beside it.
    """
    try:
        asked = json.loads(body)
        if not isinstance(asked, dict):
            return Refusal(400, "the request is not an object")
        if asked.get("cmd") != "abort":
            json.loads(body, parse_constant=_finite, parse_float=_finite)
            if _depth(asked, _MOST_DEPTH) > _MOST_DEPTH:
                return Refusal(400, f"the request is nested more than {_MOST_DEPTH} levels")
    except (ValueError, RecursionError):
        return Refusal(400, "the request is not JSON")
    return asked


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON")
    return value


def _depth(value: object, most: int) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_depth(one, most - 1) for one in inner), default=0) if most >= 0 else 1
