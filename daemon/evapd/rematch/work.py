"""A rematch under way: pieces of words go out, hits come back in order, and every word is accounted for."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import zip_longest
from typing import Any

from evapd.blocks import HitBlock
from evapd.matching import Anode, MatchCounters, Matcher, MatchSettings
from evapd.record.words import Piece, Reading, WordSource
from evapd.rematch.crew import Crew
from evapd.rematch.kind import KindCheck
from evapd.rematch.pieces import Matched, match_piece

Progress = Callable[[float, int, int], None]


@dataclass(slots=True)
class Work:
    """A rematch under way: gives the hits in order, and adds up what became of the words."""

    source: WordSource
    anode: Anode
    settings: MatchSettings
    workers: int
    block_words: int
    unit_words: int
    progress: Progress
    counters: MatchCounters = field(default_factory=MatchCounters)
    reading: Reading = field(default_factory=Reading)

    def hits(self) -> Generator[HitBlock, None, None]:
        """Match everything; blocks of hits ascend in pulse, and are cut by the recorded words alone."""
        with Crew(self.anode, self.settings, self.workers, threads=not self.source.portable) as crew:
            batch: list[Piece] = []
            chain: Matcher | None = None
            kind = KindCheck(self.anode, self.source.path)
            for piece in self.source.pieces(self.unit_words):
                if kind.wanted:
                    kind.look(piece)
                if chain is None and not piece.continues:
                    batch.append(piece)
                    if sum(piece.words for piece in batch) >= self.block_words:
                        crew.give(batch)
                        batch = []
                        while crew.full:
                            yield from self._take(crew.take())
                    continue
                # A pulse longer than a piece: one matcher must see all of it, and only this process is in order.
                if batch:
                    crew.give(batch)
                    batch = []
                while not crew.idle:
                    yield from self._take(crew.take())
                chain = chain or Matcher(self.anode, self.settings)
                reading = Reading()
                found = match_piece(chain, piece, reading)
                whole = MatchCounters() if piece.continues else chain.counters
                yield from self._take(Matched(hits=found, counters=whole, reading=reading))
                chain = chain if piece.continues else None
            kind.judge()
            if batch:
                crew.give(batch)
            while not crew.idle:
                yield from self._take(crew.take())
        self.reading.add(self.source.reading)
        self.source.check(self.reading)

    def _take(self, matched: Matched) -> Iterator[HitBlock]:
        self.counters = _sum(self.counters, matched.counters)
        self.reading.add(matched.reading)
        self.progress(self.source.read_share, self.counters.words, self.counters.hits)
        yield from matched.hits


def by_quality(counters: MatchCounters) -> dict[int, int]:
    """Hits by quality code, where there are any."""
    return {code: hits for code, hits in enumerate(counters.hits_by_quality) if hits}


def lost_frames(reading: Reading) -> dict[str, int]:
    """Frames of words that could not be used, as plain data for JSON."""
    return {"damaged": reading.damaged, "undecodable": reading.undecodable}


def as_plain(counters: MatchCounters) -> dict[str, Any]:
    """Counters as plain data for JSON."""
    return asdict(counters) | {"hits": counters.hits, "hits_by_quality": by_quality(counters)}


def _sum(one: MatchCounters, other: MatchCounters) -> MatchCounters:
    values: dict[str, Any] = {}
    for each in fields(MatchCounters):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if isinstance(a, tuple):
            values[each.name] = tuple(x + y for x, y in zip_longest(a, b, fillvalue=0))
        else:
            values[each.name] = a + b
    return MatchCounters(**values)
