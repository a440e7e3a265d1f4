"""Checks by name: to whom each applies, what its description must offer, and which may be skipped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evapd.device.conformance.bench import Bench, Nonconformance, takes
from evapd.device.conformance.instrument import InstrumentUnderTest, offers
from evapd.device.conformance.roles import role_of


@dataclass(frozen=True, slots=True)
class Check:
    """One law that drivers keep.

    Attributes:
        name: as in `conformance_skips` and in the name of the test.
        law: the law in words.
        safety: whether it can never be skipped.
        run: raises `Nonconformance` where a driver breaks it.
        protocols: Protocols that it is for; empty = all.
        energy: whether it is for classes only that feed energy or move something.
        over_bytes: whether it needs a cable that can be tampered with: not for vendors' libraries.
        wants: methods or attributes that a description must have for it.
        when: attribute of a description without which it does not apply.
    """

    name: str
    law: str
    safety: bool
    run: Callable[[Bench], None]
    protocols: tuple[type, ...]
    energy: bool
    over_bytes: bool
    wants: tuple[str, ...]
    when: str

    def applies(self, kind: type[InstrumentUnderTest]) -> bool:
        """Whether the check is for this class of instrument and this kind of driver."""
        if self.protocols and kind.driver.protocol not in self.protocols:
            return False
        if self.energy and role_of(kind).quiet is None:
            return False
        if self.when and not getattr(kind, self.when):
            return False
        return takes(kind.driver, "transport_factory") or not self.over_bytes

    def lacks(self, kind: type[InstrumentUnderTest]) -> tuple[str, ...]:
        """What the description does not offer and the check wants."""
        return tuple(name for name in self.wants if not _has(kind, name))

    def skipped(self, kind: type[InstrumentUnderTest]) -> str:
        """Give the driver's reason to skip it, or nothing.

        Raises:
            Nonconformance: where the driver may not skip it, or gives no reason, or the description lacks what it wants.
        """
        reason = skips(kind.driver).get(self.name)
        if reason is not None and (self.safety or not reason.strip()):
            why = "is a safety check: it cannot be skipped" if self.safety else "is skipped without a reason"
            raise Nonconformance(f"{self.name} {why} ({kind.driver.__name__}.conformance_skips)")
        if reason is None and (missing := self.lacks(kind)):
            raise Nonconformance(
                f"{kind.__name__} offers no {', '.join(missing)} for {self.name}: simulate it"
                + (
                    ""
                    if self.safety
                    else f", or say in {kind.driver.__name__}.conformance_skips why it cannot be"
                )
            )
        return reason or ""


CHECKS: dict[str, Check] = {}


def check(
    *,
    safety: bool = False,
    protocols: tuple[type, ...] = (),
    energy: bool = False,
    over_bytes: bool = False,
    wants: tuple[str, ...] = (),
    when: str = "",
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Make a check of a function; its docstring is the law."""

    def register(run: Callable[[Bench], None]) -> Callable[[Bench], None]:
        name = run.__name__
        law = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        CHECKS[name] = Check(name, law, safety, run, protocols, energy, over_bytes, wants, when)
        return run

    return register


def skips(driver: type[Any]) -> dict[str, str]:
    """Give the checks that a driver skips, with its reasons.

    Raises:
        Nonconformance: where there is no such check.
    """
    found: dict[str, str] = dict(getattr(driver, "conformance_skips", {}))
    for name in found:
        if name not in CHECKS:
            raise Nonconformance(
                f"{driver.__name__}.conformance_skips names '{name}', there is no such check: {', '.join(CHECKS)}"
            )
    return found


def _has(kind: type[InstrumentUnderTest], name: str) -> bool:
    return offers(kind, name) if callable(getattr(InstrumentUnderTest, name)) else bool(getattr(kind, name))
