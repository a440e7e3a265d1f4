"""The checks as tests of pytest, and as the table of the page on drivers."""

from collections.abc import Callable, Sequence

import pytest

from evapd.device.conformance import (
    checks_basic,
    checks_cable,
    checks_energy,
    checks_replies,
    checks_setting,
    checks_source,
    leaks,
)
from evapd.device.conformance.bench import Bench
from evapd.device.conformance.check import CHECKS, Check, skips
from evapd.device.conformance.instrument import InstrumentUnderTest

MODULES = (checks_basic, checks_setting, checks_energy, checks_source, checks_cable, checks_replies, leaks)


def run_check(kind: type[InstrumentUnderTest], name: str) -> str:
    """Do one check of one instrument.

    Returns:
        The driver's reason where it skips it, else nothing.

    Raises:
        Nonconformance: where the driver or its description breaks the law.
    """
    one = CHECKS[name]
    reason = one.skipped(kind)
    if not reason:
        with Bench(kind) as bench:
            one.run(bench)
    return reason


def conformance_tests(*kinds: type[InstrumentUnderTest]) -> Callable[..., None]:
    """Give one test for every check of every instrument; assign it to a name that begins with `test_`.

    Args:
        kinds: descriptions of instruments; one that is in the test's name as its class's.
    """
    cases = [
        pytest.param(kind, name, id=f"{kind.__name__}-{name}")
        for kind in kinds
        for name, one in _in_order()
        if one.applies(kind)
    ]

    @pytest.mark.parametrize(("kind", "name"), cases)
    def test(kind: type[InstrumentUnderTest], name: str) -> None:
        skips(kind.driver)  # a name that is none must not stay unseen
        if reason := run_check(kind, name):
            pytest.skip(f"{kind.driver.__name__}: {reason}")

    return test


def table(kinds: Sequence[tuple[str, type[InstrumentUnderTest]]]) -> str:
    """Give the Markdown table of what each driver is checked for: name of the driver, and its description."""
    lines = ["| name | Protocol | checks | skipped, and why |", "| --- | --- | --- | --- |"]
    for name, kind in kinds:
        applied = [one for one in CHECKS.values() if one.applies(kind)]
        reasons = skips(kind.driver)
        told = "; ".join(f"`{skipped}`: {reason}" for skipped, reason in reasons.items()) or "none"
        lines.append(
            f"| `{name}` | {kind.driver.protocol.__name__} | {len(applied) - len(reasons)} of {len(applied)} | {told} |"
        )
    return "\n".join(lines)


def laws() -> str:
    """Give the Markdown table of all checks."""
    lines = ["| check | law | may be skipped |", "| --- | --- | --- |"]
    lines += [
        f"| `{one.name}` | {one.law} | {'no' if one.safety else 'with a reason'} |" for _, one in _in_order()
    ]
    return "\n".join(lines)


def _in_order() -> list[tuple[str, Check]]:
    """Checks by subject, whichever module was imported first."""
    order = [module.__name__ for module in MODULES]
    return sorted(CHECKS.items(), key=lambda one: order.index(one[1].run.__module__))
