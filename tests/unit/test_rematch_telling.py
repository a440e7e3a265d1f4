"""What a person reads at the end of a rematch."""

from pathlib import Path

from evapd.matching import MatchCounters
from evapd.matching.quality import known_codes
from evapd.record.wordfalls import Fall
from evapd.record.words import Reading
from evapd.rematch import RematchResult
from evapd.rematch.telling import account


def told(hits_by_code: dict[int, int], reading: Reading | None = None, damaged: int = 0) -> list[str]:
    hits = tuple(hits_by_code.get(code, 0) for code in range(256))
    result = RematchResult(
        out=Path("h.npz"),
        calibration="hex-1",
        counters=MatchCounters(words=10**6, damaged=damaged, hits_by_quality=hits),
        reading=reading or Reading(),
        recorded_hits=None,
        workers=1,
        seconds=1.0,
    )
    return account(result).splitlines()


def test_a_hex_anodes_sixty_codes_are_told_by_the_number_of_missing_signals() -> None:
    lines = told(dict.fromkeys(known_codes(7, risky=True), 10))
    quality = [line.split("%")[1].strip() for line in lines if "%" in line]
    assert quality == [
        "all signals seen",
        "all signals seen, contested: some fit nearly as well into another hit",
        "1 signal missing",
        "2 signals missing",
        "3 signals missing",
        "4 signals missing (risky: nothing checks them)",
    ]


def test_hits_of_a_group_of_codes_are_added_up() -> None:
    lines = told({0: 60, 1: 10, 2: 10, 5: 20})
    assert any(line.split() == ["40", "40.00%", "1", "signal", "missing"] for line in lines)


def test_without_hits_nothing_is_said_of_their_quality() -> None:
    assert not any("signal" in line for line in told({}))


def test_a_fall_of_the_pulse_counter_is_told_with_its_place_and_what_to_do() -> None:
    (line,) = (
        line for line in told({0: 5}, Reading(falls=2, first_fall=Fall(50_000, 9999, 3))) if "fell" in line
    )
    assert "2 places, first before word 50,000" in line
    assert "from pulse 9,999 to about 3" in line
    assert "a words file of its own" in line
