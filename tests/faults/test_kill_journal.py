"""kill -9 at moments that nobody chose: every frame whose write had returned is read back, and is what subscribers got.

EVAPD_KILLS says how often each process is killed, EVAPD_PROOF_PAGE on which page the table is written.
"""

import os
import random
from collections.abc import Iterator

import pytest

from support.bench_table import machine
from support.kills import KillScene, Sums, kill_scene
from support.soak_page import write

KILLS = int(os.environ.get("EVAPD_KILLS", "1"))
TABLE: list[Sums] = []


@pytest.fixture(scope="module")
def scene() -> Iterator[KillScene]:
    with kill_scene() as made:
        yield made
    print(f"{Sums.markdown(TABLE)}\n\n{machine()}\n")
    write("kills", f"`kill -9`, {KILLS} times each, under load with two copies", Sums.markdown(TABLE))


@pytest.mark.timeout(120 + 40 * KILLS)
@pytest.mark.parametrize("name", ["acquire", "guard"])
def test_every_frame_whose_write_had_returned_is_read_back(scene: KillScene, name: str) -> None:
    chance, sums = random.Random(f"kills of {name}"), Sums(name)
    TABLE.append(sums)
    for _ in range(KILLS):
        scene.kill(name, chance, sums)
    assert (sums.kills, sums.missing, sums.unequal, sums.holes) == (KILLS, 0, 0, 0), sums
    assert sums.read >= sums.returned > 0
