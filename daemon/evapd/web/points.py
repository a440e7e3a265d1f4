"""The last projected ions of the run that the live documents tell of, for a page that is opened late."""

import base64
import binascii
import json
import logging
import struct
from typing import Any

import numpy as np

from evapd.stream.jsontext import from_json

MOST = 100_000
_LENGTH = struct.Struct("<I")

log = logging.getLogger(__name__)


class PointRing:
    """Positions in nm (float32) and places in the legend (uint8): thirteen bytes an ion, made once."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._xyz = np.zeros((most, 3), "<f4")
        self._ion = np.zeros(most, np.uint8)
        self._told = False
        self._begin("", "")

    def _begin(self, instance: str, run: str) -> None:
        self._instance, self._run = instance, run
        self._at = self._n = 0  # where the next one goes; how many there are
        self._document = 0  # number of the newest document that is in

    def take(self, body: bytes) -> None:
        """Take the points of a live document; one that cannot be read is passed over, the first is logged."""
        try:
            self._take(from_json(body))
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            if not self._told:
                log.warning(
                    "a live document whose points cannot be read: %s: %s", type(error).__name__, error
                )
            self._told = True

    def _take(self, live: dict[str, Any]) -> None:
        analysis, points = live.get("analysis"), live.get("points")
        if not analysis:
            return  # between a start of the daemon and its first run
        instance, run, number = str(live["instance"]), str(analysis["run"]), int(live["n"])
        if points and points["n"]:
            xyz = np.frombuffer(base64.b64decode(points["xyz_nm"]["data"], validate=True), "<f4").reshape(
                -1, 3
            )
            ion = np.frombuffer(base64.b64decode(points["ion"]["data"], validate=True), np.uint8)
            if len(xyz) != len(ion):
                raise ValueError(f"{len(xyz)} positions of {len(ion)} ions")
        else:
            xyz, ion = np.empty((0, 3), "<f4"), np.empty(0, np.uint8)
        if (instance, run) != (self._instance, self._run):
            self._begin(instance, run)
        self._document = number
        xyz, ion = xyz[-self._most :], ion[-self._most :]
        places = (self._at + np.arange(len(ion))) % self._most
        self._xyz[places], self._ion[places] = xyz, ion
        self._at = (self._at + len(ion)) % self._most
        self._n = min(self._n + len(ion), self._most)

    def packed(self) -> bytes:
        """Give all of them, oldest first: a uint32 length, so many bytes of JSON (padded to four), then n x 3 float32 and n uint8.

        Little-endian. The JSON has `n`, `run`, `instance` and `document`, the number of the newest live document among them.
        """
        head = {"n": self._n, "run": self._run, "instance": self._instance, "document": self._document}
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 4)
        places = (self._at - self._n + np.arange(self._n)) % self._most
        return _LENGTH.pack(len(text)) + text + self._xyz[places].tobytes() + self._ion[places].tobytes()
