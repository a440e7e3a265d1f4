"""The dead-man: a guard that is killed or stopped cannot say so; the relay that its heartbeat holds drops out and cuts by wire."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from evapd.rpc import Requester
from evapd_sim.wire.modbus_dio import ModbusDioWire
from support.daemon import Daemon
from support.patience import STRICT, allowed_s
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

RELAY_S = 1.5 if STRICT else 4.0  # a busy machine may hold back a beat for seconds
QUICK = {
    "detector": {"wires": None,
        "dwell_s": 0.2, "supplies": {name: {"step_v": 2500} for name in ("plates", "signal-wire", "reference-wire")}},
    "end": None,
    # Long enough for replies that a busy machine holds back: what is measured is the relay's own time beyond it.
    "contacts": {"relay_s": RELAY_S},
    "devices": {"io": {"settings": {"timeout_s": RELAY_S * 0.4}}},
    "twin": {"settings": {"wires": {"io": {"relay_s": RELAY_S}}}},
}  # fmt: skip


class Guarded(Daemon):
    """The rig of config/guarded.yaml, with its detector on and a run under way."""

    def command(self, name: str) -> None:
        with Requester(self.loaded.layout.guard_ipc, 20.0) as requester:
            requester.request(name, {})

    def wiring(self) -> dict:
        return (self.guard_status() or {"wiring": {}})["wiring"]

    def await_detector(self, state: str) -> None:
        try:
            wait_for(
                lambda: (self.wiring().get("detector") or {}).get("state") == state, f"detector {state}", 30.0
            )
        except AssertionError as error:
            error.add_note(f"{self.wiring()}\n{self.logs()}")
            raise

    def pulsing(self) -> "Guarded":
        """Everything on, by the commands that a person gives."""
        self.await_energy("standby")
        self.await_detector("off")
        self.command(
            "acknowledge"
        )  # releases the crowbar that stands closed at power-on, and begins the heartbeat
        self.command("detector_on")
        self.await_detector("on")
        wait_for(lambda: self.relay.closed, f"the relay\n{self.logs()}", 30.0)
        self.start_run()
        wait_for(lambda: self.twin.plant.trigger.live, f"pulses\n{self.logs()}", 30.0)
        return self

    @property
    def relay(self):
        wire = self.twin.wires["io"]
        assert isinstance(wire, ModbusDioWire)
        return wire.relay


@contextmanager
def guarded() -> Iterator[Guarded]:
    with rig_folder() as folder:
        rig = Guarded(write_rig(folder, QUICK, source="guarded.yaml"))
        try:
            rig.start()
            yield rig.pulsing()
        finally:
            rig.close()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_guard_that_is_gone_drops_the_relay_which_stops_pulses_and_supply(signum: signal.Signals) -> None:
    with guarded() as rig:
        plant = rig.twin.plant
        gone_s = rig.kill("guard", signum)
        wait_for(lambda: not plant.trigger.live, "the pulses' end", 30.0)
        reaction_s = time.monotonic() - gone_s
        print(
            f"guard {signum.name}: pulses cut by the relay after {1e3 * reaction_s:.0f} ms (relay {RELAY_S} s)"
        )
        assert reaction_s < allowed_s(RELAY_S + 0.15)
        assert plant.specimen.interlock_open
        wait_for(lambda: plant.specimen.v_v < 50.0, "discharge of the twin's specimen", 30.0)


def test_a_guard_that_goes_on_after_it_was_stopped_latches_and_lets_nothing_come_back() -> None:
    with guarded() as rig:
        plant = rig.twin.plant
        rig.kill("guard", signal.SIGSTOP)
        wait_for(lambda: not rig.relay.closed, "the relay's drop", 30.0)
        rig.kill("guard", signal.SIGCONT)
        rig.await_energy("fault_latched")
        wait_for(lambda: plant.specimen.demand_v == 0.0 and not plant.trigger.running, "the way down", 30.0)
        # The latch may come from a tick that still waits for an instrument; the beat ends in the first whole one, without a change of level.
        wait_for(lambda: rig.wiring() and not rig.wiring()["heartbeat"]["beating"], "the beat's end", 30.0)
        assert not rig.relay.closed


def test_an_opened_door_latches_closes_the_crowbar_and_waits_for_a_person() -> None:
    with guarded() as rig:
        plant = rig.twin.plant
        opened_s = time.monotonic()
        with plant.lock:
            plant.interlock["door"] = False
        wait_for(lambda: not plant.trigger.live, "the pulses' end", 30.0)
        reaction_s = time.monotonic() - opened_s
        print(f"door opened: pulses off after {1e3 * reaction_s:.0f} ms (two readings of 50 ms)")
        assert reaction_s < allowed_s(0.3)
        rig.await_energy("fault_latched")
        wait_for(lambda: rig.wiring()["crowbar"], "the crowbar", 30.0)
        rig.await_detector("off")
        with plant.lock:
            plant.interlock["door"] = True
        wait_for(lambda: rig.wiring()["contacts"]["door"]["well"], "the door", 30.0)
        assert rig.wiring()["crowbar"]
        assert rig.ask_guard("status")["energy_state"] == "fault_latched"
