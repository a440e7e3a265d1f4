"""Matching pieces of recorded words: what a worker process does, and what one process does alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from evapd.blocks import HitBlock, Loss, join_hits
from evapd.matching import Anode, MatchCounters, Matcher, MatchSettings
from evapd.record.words import Piece, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What came of some consecutive pieces."""

    hits: list[HitBlock]
    counters: MatchCounters
    reading: Reading


def match_pieces(pieces: Iterable[Piece], anode: Anode, settings: MatchSettings) -> Matched:
    """Match pieces none of which continues in another.

    Raises:
        RecordError: when the words cannot be read.
    """
    matcher, reading = Matcher(anode, settings), Reading()
    hits = [block for piece in pieces for block in match_piece(matcher, piece, reading)]
    return Matched(hits=hits, counters=matcher.counters, reading=reading)


def match_piece(matcher: Matcher, piece: Piece, reading: Reading) -> list[HitBlock]:
    """Match one piece; the matcher keeps the pulse that continues in the next one, if it does.

    Raises:
        RecordError: when the words cannot be read.
    """
    found = [matcher.match(block) for block in piece.blocks(reading)]
    if not piece.continues:
        found.append(matcher.flush())
    return _joined(found)


def _joined(blocks: Iterable[HitBlock]) -> list[HitBlock]:
    """Join blocks, but for those with a loss: it concerns their pulses alone."""
    joined: list[HitBlock] = []
    sound: list[HitBlock] = []
    for block in blocks:
        if block.loss == Loss.NONE:
            sound.append(block)
            continue
        if sound:
            joined.append(join_hits(sound))
            sound = []
        joined.append(block)
    if sound:
        joined.append(join_hits(sound))
    return joined
