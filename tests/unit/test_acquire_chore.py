"""A chore is one child of acquire, and nobody's when acquire is gone."""

import subprocess
import sys
from pathlib import Path

from evapd.acquire.chore import Chore
from support.daemon import alive_in_session
from support.wait import wait_for

TESTS = Path(__file__).resolve().parents[1]
PARENT = """
import sys, time
from pathlib import Path
from evapd.acquire.chore import Chore
chore = Chore("support.chore_that_stays", Path(sys.argv[1]), on_line=lambda line: print(line["pid"], flush=True))
while chore.poll() is None:
    time.sleep(0.1)
"""


def test_a_parent_that_is_killed_leaves_no_child_behind(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=TESTS, start_new_session=True,
    )  # fmt: skip
    with parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            assert sorted(alive_in_session(parent.pid)) == sorted([parent.pid, child])
        finally:
            parent.kill()
        parent.wait(30.0)
        wait_for(lambda: not alive_in_session(parent.pid), "the child's end", 30.0)


def test_what_it_says_and_how_it_ended_reach_its_owner(tmp_path: Path) -> None:
    chore = Chore("evapd.record.finalise", tmp_path)
    wait_for(lambda: chore.poll() is not None, "the chore's end", 60.0)
    assert chore.poll() is False
    assert str(tmp_path) in chore.error
