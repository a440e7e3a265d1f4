"""Daemons that these tests start are waited for: their kernels are compiled before. The long part runs in wall clock only."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.faults_rig import FaultRig, fault_rig
from support.faults_table import AGAIN, ROWS, markdown, order, summary, write_page
from support.kernels import warm_kernels
from support.patience import STRICT
from support.soak_page import write

# `make faults` is for these: their goals are times and volts, which a busy machine cannot keep.
collect_ignore_glob = [] if STRICT else ["test_faults_*.py"]
# `make proofs` is for these: what they say takes minutes.
collect_ignore = [] if "EVAPD_CHURN_S" in os.environ else ["test_proof_subscribers.py"]


@pytest.fixture(scope="session", autouse=True)
def _kernels_are_compiled() -> None:
    warm_kernels()


@pytest.fixture(scope="session")
def rig() -> Iterator[FaultRig]:
    """One rig for all faults that it survives; every fault finds a run at its target."""
    with fault_rig() as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, and put it on the page that EVAPD_FAULTS_PAGE names."""
    if not ROWS:
        return
    rows = sorted(ROWS, key=order)
    terminalreporter.write_line("")
    terminalreporter.write_line(markdown(rows))
    terminalreporter.write_line(summary(rows))
    for why in AGAIN:
        terminalreporter.write_line(f"begun once more before a fault: {why}")
    write("faults", f"Faults let into a run; {summary(rows)}", markdown(rows).rstrip())
    page = os.environ.get("EVAPD_FAULTS_PAGE")
    if page:
        write_page(Path(page), rows)
