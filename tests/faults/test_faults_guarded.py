"""A rig with interlock contacts, a heartbeat relay in hardware, and detector supplies: what works when the guard does not."""

import signal
from collections.abc import Iterator

import pytest

from support.faults_rig import FaultRig, fault_rig
from support.wait import wait_for

RELAY_S = 0.5
# Ramped quicker than plates like it, so that every fault finds them on.
QUICK = {"detector": {"dwell_s": 0.2}}


@pytest.fixture(scope="module")
def guarded() -> Iterator[FaultRig]:
    with fault_rig(QUICK, source="guarded.yaml") as rig:
        yield rig


def test_guard_killed(guarded: FaultRig) -> None:
    with guarded.fault("19", "guard killed, heartbeat relay wired, no successor", "`kill -KILL`; the relay (0.5 s) cuts pulser and supply",
                       "pulses off and V falls < 1 s by hardware alone, < 5 V rise, run closed ABORTED, nothing lost") as fault:  # fmt: skip
        fault.kill("guard")
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.5)
        fault.rises_at_most(5.0)


def test_guard_hung(guarded: FaultRig) -> None:
    with guarded.fault("20b", "guard hung 5 s, heartbeat relay wired", "`kill -STOP`, `-CONT`",
                       "pulses off and V falls < 1 s by hardware alone, < 5 V rise, nothing comes back with the guard") as fault:  # fmt: skip
        fault.kill("guard", signal.SIGSTOP)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        fault.waits(5.0)
        guarded.daemon.kill("guard", signal.SIGCONT)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.5)
        fault.stays_down()
        fault.rises_at_most(5.0)


@pytest.mark.parametrize("name", ["door", "valve", "water", "ups"])
def test_contact_opens(guarded: FaultRig, name: str) -> None:
    with guarded.fault("L36", f"contact of the interlock chain opens: {name}", f"`contact-open name={name}`",
                       "pulses off < 1 s, V falls < 1 s, < 5 V rise, ABORTED, nothing comes back when it closes") as fault:  # fmt: skip
        fault.do("contact-open", name=name)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        told = fault.closed("ABORTED")
        fault.also("clear", what="contact-open")
        fault.stays_down()
        fault.nothing_lost(told, tail_s=0.5)
        fault.rises_at_most(5.0)


def test_contacts_are_not_readable(guarded: FaultRig) -> None:
    with guarded.fault("L37", "module of the contacts silent", "`silent device=io for_s=8`",
                       "unknown is never closed: pulses off and V falls < 1 s, ABORTED") as fault:  # fmt: skip
        fault.do("silent", device="io", for_s=8)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.5)
        fault.rises_at_most(5.0)


def test_detector_supply_lost(guarded: FaultRig) -> None:
    with guarded.fault("L38", "supply of the plates unplugged", "`unplug device=plates for_s=8`",
                       "what cannot be seen must not evaporate: pulses off and V falls < 1 s, ABORTED") as fault:  # fmt: skip
        fault.do("unplug", device="plates", for_s=8)
        fault.inhibited_within(1.0)
        fault.descends_within(1.0)
        fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.5)
        fault.rises_at_most(5.0)
        wait_for(lambda: guarded.twin.plant.specimen.v_v < 50.0, "discharge", 30.0)


def test_another_address_answers(guarded: FaultRig) -> None:
    with guarded.fault("N12", "module of the contacts answers from another device's address", "the unit's number rewritten in every reply",
                       "never taken for the contacts: pulses off and V falls < 1 s, < 5 V rise, ABORTED") as fault:  # fmt: skip
        server = guarded.twin.servers["io"]
        as_it_is = server.spoil

        def from_another(reply: bytes) -> bytes:
            said = as_it_is(reply)
            return said[:6] + bytes([said[6] ^ 0x05]) + said[7:] if len(said) > 7 else said

        server.spoil = from_another  # type: ignore[method-assign]
        try:
            fault.now(lambda: None)
            fault.inhibited_within(1.0)
            fault.descends_within(1.0)
            fault.nothing_lost(fault.closed("ABORTED"), tail_s=0.5)
        finally:
            del server.spoil
        fault.rises_at_most(5.0)
