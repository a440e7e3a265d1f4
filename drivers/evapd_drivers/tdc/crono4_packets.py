"""From packets of cronologic's 4-channel boards, one for every start, to columns of words: a kernel, no loop in Python.

Source: the maker's header crono_interface.h and the chapter on the output format of the user guides. A packet is a header of 16 bytes
(channel, card, type and flags, 8 bits each; length of the data in 8 bytes, 32 bits; time of the start, 64 bits) and
its data: hits of 32 bits, the lower half of each 64-bit word first. A hit is 24 bits of time, 4 of flags, 4 of channel;
one with the overflow flag only says that the time has wrapped once more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from evapd.compiled import entry

ODD_HITS, START_MISSED, SHORTENED, FIFO_FULL, HOST_BUFFER_FULL = 0x01, 0x04, 0x08, 0x10, 0x20
ROLLOVER = 0x2
# What `unpack` counts.
WORDS, PACKETS, FLAGS, MISSED, CUT, IMPOSSIBLE = range(6)
COUNTS = 6


@entry
def unpack(digest: int) -> Callable[..., Any]:
    """Build the kernel."""

    def kernel(  # noqa: PLR0917 - arrays and numbers of a kernel
        data: Any,
        first_pulse: int,
        rollover: int,
        table: Any,
        pulse: Any,
        channel: Any,
        time: Any,
        counts: Any,
    ) -> None:
        """Read packets.

        Args:
            data: packets as signed 64-bit words, shape (n,).
            first_pulse: number of the first packet's start.
            rollover: bins of one wrap of a hit's time.
            table: block's channel of each of the board's 16, -1 where it is not in use.
            pulse: filled with the pulse of each word, shape (2 n,).
            channel: filled with its channel.
            time: filled with its time in bins, ascending within a pulse.
            counts: added to: words, packets, flags of packets, packets before which starts were missed, packets that
                were cut short, impossible hits.
        """
        _ = digest
        at, n, packets = 0, 0, 0
        while at + 2 <= len(data):
            head = data[at]
            kind, flags, length = (head >> 16) & 0xFF, (head >> 24) & 0xFF, (head >> 32) & 0xFFFFFFFF
            words = 0 if kind & 0x80 else length
            at += 2
            if at + words > len(data):
                counts[IMPOSSIBLE] += 1
                break
            hits = 2 * words - (1 if flags & ODD_HITS and words else 0)
            wraps, begin = 0, n
            for k in range(hits):
                hit = (data[at + k // 2] >> (32 * (k % 2))) & 0xFFFFFFFF
                if (hit >> 4) & ROLLOVER:
                    wraps += 1
                    continue
                bins = (hit >> 8) + wraps * rollover
                to = table[hit & 0xF]
                if to < 0 or bins >= 2147483648:
                    counts[IMPOSSIBLE] += 1
                    continue
                place = n
                while place > begin and time[place - 1] > bins:
                    time[place], channel[place] = time[place - 1], channel[place - 1]
                    place -= 1
                time[place], channel[place], pulse[n] = bins, to, first_pulse + packets
                n += 1
            counts[FLAGS] |= flags
            counts[MISSED] += 1 if flags & START_MISSED else 0
            counts[CUT] += 1 if flags & SHORTENED else 0
            packets += 1
            at += words
        counts[WORDS] = n
        counts[PACKETS] = packets

    return kernel


def columns(n: int) -> tuple[Any, Any, Any]:
    """Columns for the words of `n` 64-bit words of packets."""
    return np.empty(2 * n, np.uint64), np.empty(2 * n, np.uint8), np.empty(2 * n, np.int32)
