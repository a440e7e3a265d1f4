"""Matching: what is found, against the truth and the ceiling that the surviving signals allow."""

import pytest

from evapd.blocks import join_hits
from evapd.matching import Matcher, MatchSettings
from evapd.matching.quality import meaning, missing_mask
from support.bench_matching_streams import STREAMS, Stream
from support.bench_matching_tables import percent, print_columns
from support.signals import Score, score

pytestmark = pytest.mark.bench
NAMES = ("S1b", "S2b", "S3b", "10 kHz", "H1b", "H2b")
GOALS = {"S1b": "98 %", "S2b": "95 %", "S3b": "", "10 kHz": "98 %", "H1b": "98 %", "H2b": "95 %"}
MULTIPLICITIES = (1, 2, 3, 4, 6, 8)


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    return {name: scored(STREAMS[name]) for name in NAMES}


def scored(stream: Stream, settings: MatchSettings | None = None) -> Score:
    ours = Matcher(stream.anode, settings)
    return score(stream.truth, join_hits([ours.match(stream.truth.block), ours.flush()]))


def test_quality_against_the_ceiling(scores: dict[str, Score]) -> None:
    rows = [
        (
            f"{name}: {STREAMS[name].title}",
            percent(result.efficiency),
            percent(result.ceiling),
            percent(result.of_recoverable),
            GOALS[name],
            percent(result.ghosts_by_quality[0], 2),
            percent(result.ghosts, 2),
        )
        for name, result in scores.items()
    ]
    print_columns(
        "Hits found within 1 ns and 0.3 mm, ceiling: at least 4 signals in the stream",
        ("stream", "found", "ceiling", "of the ceiling", "goal", "ghosts, quality 0 (< 1 %)", "ghosts, all"),
        rows,
    )
    assert all(scores[name].ghosts_by_quality[0] < 0.02 for name in GOALS if GOALS[name])


def test_quality_by_multiplicity(scores: dict[str, Score]) -> None:
    head = ("stream", *(f"{many} in the pulse" for many in MULTIPLICITIES))
    rows = []
    for name, result in scores.items():
        cells = []
        for many in MULTIPLICITIES:
            found = result.by_multiplicity.get(many)
            cells.append(
                f"{found.efficiency:.3f} / {found.ceiling:.3f}" if found and found.hits >= 50 else ""
            )
        rows.append((f"{name}: {STREAMS[name].title}", *cells))
    print_columns("Found / ceiling by multiplicity of the true hits", head, rows)
    assert all(result.by_multiplicity[1].efficiency > 0.9 for result in scores.values())


@pytest.mark.parametrize("name", ["S2b", "H2b"])
def test_quality_by_code(name: str, scores: dict[str, Score]) -> None:
    result = scores[name]
    groups: dict[str, list[int]] = {}
    for code in result.share_by_quality:
        groups.setdefault(kind_of(code), []).append(code)
    rows = []
    for kind, codes in groups.items():
        share = sum(result.share_by_quality[code] for code in codes)
        ghosts = sum(result.share_by_quality[code] * result.ghosts_by_quality[code] for code in codes)
        rows.append((kind, str(len(codes)), percent(share, 2), percent(ghosts / share, 2)))
    print_columns(
        f"By quality code, {name}: {STREAMS[name].title}",
        ("what was missing", "codes", "share of the hits", "ghosts"),
        rows,
    )
    assert sum(result.share_by_quality.values()) == pytest.approx(1.0)


def kind_of(code: int) -> str:
    """Codes of quad anodes one by one, the many of hex anodes by how much was missing."""
    missing = missing_mask(code)
    ends = (missing >> 1).bit_count()
    if ends == 0 or code < 32:
        return meaning(code)
    return f"{'MCP and ' * (missing & 1)}{ends} line end{'s' * (ends != 1)} missing"


@pytest.mark.parametrize("name", ["S2b", "H2b"])
def test_what_doubt_costs_and_saves(name: str) -> None:
    rows = []
    for title, settings in [
        ("as the daemon", MatchSettings()),
        ("one of two equal stories is told", MatchSettings(margin=-100.0)),
        ("also hits of three signals", MatchSettings(risky=True)),
    ]:
        result = scored(STREAMS[name], settings)
        rows.append(
            (
                title,
                percent(result.of_recoverable),
                percent(result.ghosts, 2),
                percent(result.ghosts_by_quality[0], 2),
            )
        )
    print_columns(
        f"Doubt and risk, {name}: {STREAMS[name].title}",
        ("settings", "of the ceiling", "ghosts, all", "ghosts, quality 0"),
        rows,
    )
    assert float(rows[1][2].rstrip(" %")) > float(rows[0][2].rstrip(" %"))
