"""What the alarm process holds open, for the page: asked for once a second while somebody looks, and acknowledged for who may.

Everything here waits on the event loop, in no thread: an alarm process that hangs holds up nothing else.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import zmq

from evapd.client.aio_requester import AsyncRequester
from evapd.errors import RequestError, RequestTimeout, StreamError
from evapd.security.roles import Role
from evapd.stream.jsontext import to_json
from evapd.web.access import Viewer
from evapd.web.commands import Forbidden
from evapd.web.hub import Hub
from evapd.web.relay import envelope

ACKNOWLEDGE = "alarms_acknowledge"
KIND = "alarms"
ASK_S = 1.0
ASK_SILENT_S = 3.0
ANSWER_S = 2.0
_MOST_ALARMS = 300  # the alarm process keeps fewer
_MOST_TEXT = 1000
_SHOWN_SEEN_S = 900.0  # so long it stands there who has seen what is over
_MOST_ASKED = 16  # acknowledgements that wait at a time
_KNOWN_ARGS = frozenset({"id", "up_to", "for_s"})

NOT_SET_UP = "No alarm process runs: the rig file names no hooks (alarms: hooks:), so nobody is told who does not look here."
ABSENT = (
    "The alarm process is not there: nobody is told of alarms but who looks here. `evapd run` starts it again; "
    "under systemd: systemctl status evapd-alarms."
)
HUNG = (
    "The alarm process does not answer: perhaps nobody is told of alarms but who looks here. See log/alarms.log, and "
    "restart it."
)
STRANGE = (
    "The alarm process answers something else than a list: perhaps it is of another version. Restart it."
)

log = logging.getLogger(__name__)


class AlarmDesk:
    """Asks the alarm process, and acknowledges there.

    Args:
        address: The alarm process' own socket.
        hub: Who looks.
        expected: Whether the rig file has hooks, so that there should be such a process.
        utc: The time of day in seconds, a label only.
    """

    def __init__(
        self, address: str, hub: Hub, *, expected: bool, utc: Callable[[], float] = time.time
    ) -> None:
        self._hub, self._expected, self._utc = hub, expected, utc
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._requester = AsyncRequester(
            address, ANSWER_S, client="display", keys=None, context=self._context
        )
        self._asked = 0
        self._words = ""

    async def follow(self) -> None:
        """Tell viewers what is open, whenever it changes; for ever."""
        told = b""
        while True:
            if self._hub.viewers == 0:
                self._hub.forget(KIND)  # who comes next must not see it as present
                told = b""
                await asyncio.sleep(ASK_S)
                continue
            found = await self._look()
            message = envelope(KIND, to_json(found))
            if message != told and self._hub.viewers:
                told = message
                self._hub.tell(KIND, message)
            await asyncio.sleep(ASK_SILENT_S if found["words"] else ASK_S)

    async def _look(self) -> dict[str, Any]:
        words, listing = "", {}
        try:
            listing = page_listing(await self._requester.request("list"), self._utc())
        except RequestTimeout as silence:
            words = HUNG if silence.sent else ABSENT if self._expected else NOT_SET_UP
        except (StreamError, RequestError) as error:
            log.debug("the alarm process answered: %s", error)
            words = STRANGE
        if words != self._words:  # once, not every second
            self._words = words
            log.log(
                logging.WARNING if words and words != NOT_SET_UP else logging.INFO,
                "alarms: %s",
                words or "answers",
            )
        return {"words": words, "alarms": [], "hooks": 0, "fault": ""} | listing

    async def acknowledge(self, viewer: Viewer, args: Mapping[str, Any]) -> dict[str, Any]:
        """Acknowledge one alarm (`id`) or all `up_to` a number, silent `for_s`; the process judges the arguments.

        Raises:
            Forbidden: when the viewer may only look.
            RequestError: when the alarm process refuses it.
            StreamError: when it does not answer, or too many wait for it already.
        """
        if not viewer.role.allows(Role.OPERATE):
            raise Forbidden(
                f"{viewer.name} may look and abort, not acknowledge: ask who runs evapd for a token"
            )
        if self._asked >= _MOST_ASKED:
            raise StreamError("the alarm process has not answered those who asked before: try again")
        self._asked += 1
        try:
            known = {name: value for name, value in args.items() if name in _KNOWN_ARGS}
            return await self._requester.request("acknowledge", known, asked_by={"name": viewer.name[:64]})
        except RequestTimeout as silence:
            raise StreamError(HUNG if silence.sent else ABSENT) from None
        finally:
            self._asked -= 1

    def close(self) -> None:
        """Close the socket."""
        self._requester.close()
        self._context.destroy(linger=0)


def page_listing(listing: Mapping[str, Any], utc_s: float) -> dict[str, Any]:
    """Give what the page shows of a listing: nothing that changes with every second.

    Raises:
        StreamError: when it is no listing.
    """
    try:
        alarms = [_row(one, utc_s) for one in listing["alarms"] if _matters(one)]
        alarms.sort(key=lambda one: (bool(one["by"]), one["id"]))
        fault = str(listing.get("state_fault", ""))[:_MOST_TEXT]
        return {"alarms": alarms[:_MOST_ALARMS], "hooks": len(listing["hooks"]), "fault": fault}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise StreamError(f"this is no listing of alarms: {type(error).__name__}: {error}") from error


def _matters(alarm: Mapping[str, Any]) -> bool:
    """Whether a person should see it: its cause is there, nobody has seen it or somebody just has, or it is kept silent."""
    seen_s = alarm.get("acknowledged_for_s")
    lately = seen_s is not None and float(seen_s) < _SHOWN_SEEN_S
    return bool(alarm["active"] or alarm["open"] or alarm.get("silent_for_s") or lately)


def _row(alarm: Mapping[str, Any], utc_s: float) -> dict[str, Any]:
    seen_s, silent_s = alarm.get("acknowledged_for_s"), alarm.get("silent_for_s")
    return {
        "id": int(alarm["id"]),
        "name": str(alarm["name"])[:100],
        "severity": str(alarm["severity"])[:20],
        "what": str(alarm["what"])[:_MOST_TEXT],
        "active": bool(alarm["active"]),
        "open": bool(alarm["open"]),
        "times": int(alarm["times"]),
        "since_utc_s": round(float(alarm["since_utc"])),
        "by": str(alarm.get("acknowledged_by") or "somebody")[:150] if alarm["acknowledged"] else "",
        "seen_utc_s": None if seen_s is None else round(utc_s - float(seen_s)),
        "silent_min": None if not silent_s else math.ceil(float(silent_s) / 60.0),
        "told": [str(one)[:40] for one in alarm["told"]][:50],
    }
