"""The guard as a process of its own, with the shipped drivers on the twin's cables; no acquire but this test's link."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from evapd.config import load_rig
from evapd.device import build_device
from evapd.errors import RequestError
from evapd.guard import last_good
from evapd.guard.boxfile import read_box
from evapd.guard.types import LOOP_COLUMNS
from evapd.link import LinkFlag, LinkRecord, LinkSender, short_digest
from evapd.record.journal import read_journal
from evapd.rpc import Requester
from support.daemon import Daemon, daemon
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

FORBIDDEN = "numba", "asyncio", "h5py", "evapd.matching", "evapd.acquire"


@contextmanager
def guard_alone(changes=None, *, twin=True):
    with daemon(changes, start=False) as rig:
        rig.loaded.layout.make()
        if twin:
            rig.twin.start()
        yield rig


def started(rig: Daemon) -> Daemon:
    rig.spawn("guard")
    wait_for(rig.guard_status, f"the guard's answer\n{rig.logs()}", 30.0)
    return rig


def ready(rig: Daemon) -> None:
    """Every device has been read and nothing is wrong."""
    started(rig).await_energy("standby")
    wait_for(lambda: not (rig.guard_status() or {"alarms": 1})["alarms"], f"readings\n{rig.logs()}", 30.0)


def firing(rig: Daemon) -> None:
    """Somebody has left the trigger on."""
    trigger = build_device("trigger", rig.loaded)
    trigger.open()
    trigger.enable(True)
    trigger.close()
    assert rig.twin.plant.trigger.running


def energised(rig: Daemon, v_v: float) -> None:
    """Somebody has left the specimen supply on."""
    supply = build_device("specimen-supply", rig.loaded)
    supply.open()
    supply.set_voltage(v_v)
    supply.output(True)
    supply.close()
    wait_for(lambda: rig.twin.plant.specimen.v_v > 0.9 * v_v, "voltage", 30.0)


class Acquire:
    """Sends the 10 ms record of a TDC that sees pulses and no ion."""

    def __init__(self, rig: Daemon):
        self.sender = LinkSender(rig.loaded.layout.link_socket)
        self.config = short_digest(rig.loaded.digest)
        self.rig = rig
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        pulses = seq = 0
        while not self.ending.wait(0.01):
            pulses += 2000 * self.rig.twin.plant.trigger.running
            seq += 1
            self.sender.send(
                LinkRecord(
                    seq=seq, t_mono_ns=time.monotonic_ns(), flags=LinkFlag.ARMED | LinkFlag.RUN_ACTIVE,
                    pulse_counter=pulses, live_pulses=pulses, heartbeat_age_us=1000, config=self.config,
                )
            )  # fmt: skip
        self.sender.close()

    def die(self):
        self.ending.set()
        self.thread.join()


@contextmanager
def recording(rig: Daemon):
    acquire = Acquire(rig)
    try:
        wait_for(lambda: rig.ask_guard("status")["link"]["newest"], "a record", 30.0)
        yield acquire
    finally:
        acquire.die()


def begin(rig: Daemon, requester: Requester):
    folder = rig.loaded.layout.runs / "run-1"
    folder.mkdir()
    requester.request("run_begin", {"run_id": "run-1", "folder": str(folder), "digest": rig.loaded.digest})
    return folder


def test_the_guard_and_the_drivers_of_its_devices_import_nothing_that_could_stop_its_loop():
    code = (
        "import sys, evapd.guard.process, evapd_drivers.hv.fug_probus, evapd_drivers.pulser.dg645, "
        "evapd_drivers.pulser.ea_scpi, evapd_drivers.gauge.pfeiffer_tpg26x, evapd_drivers.temperature.lakeshore_336, "
        "evapd_drivers.modbus_dio, pyvisa, evapd_sim.settings;"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_any_valid_configuration_it_ends_with_78_and_says_why(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text("name: 1\nnonsense: true\n")
    command = [sys.executable, "-m", "evapd.guard", str(path), "--folder", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "nonsense" in done.stderr


def test_alone_it_reads_inhibits_writes_its_journal_and_ends_with_0_on_sigterm():
    with guard_alone() as rig:
        firing(rig)
        started(rig).await_energy("standby")
        assert not rig.twin.plant.trigger.running
        folder = rig.loaded.layout.guard_journal
        wait_for(lambda: any(one.topic == "slow." for one in read_journal(folder)), "a slow frame", 30.0)
        rig.kill("guard", signal.SIGTERM)
        assert rig.reap("guard", 60.0) == 0
        messages = list(read_journal(rig.loaded.layout.guard_journal))
        loops = [message for message in messages if message.topic == "loop."]
        assert {"loop.", "slow.", "event."} <= {message.topic for message in messages}
        assert list(loops[-1].columns) == [column.name for column in LOOP_COLUMNS]


def test_devices_that_are_not_there_are_named_and_the_guard_answers_and_ends_with_0():
    with guard_alone(twin=False) as rig:
        status = started(rig).ask_guard("status")
        assert status["energy_state"] == "off"
        assert any("specimen-supply is UNKNOWN" in text for text in status["alarms"])
        rig.kill("guard", signal.SIGTERM)
        assert rig.reap("guard", 60.0) == 0


def test_a_run_without_acquire_is_refused_with_the_reason():
    with guard_alone() as rig, Requester(rig.loaded.layout.guard_ipc, 20.0) as requester:
        started(rig).await_energy("standby")
        with pytest.raises(RequestError, match="acquire is not connected"):
            begin(rig, requester)


def test_a_run_folder_elsewhere_is_refused():
    with guard_alone() as rig, Requester(rig.loaded.layout.guard_ipc, 20.0) as requester:
        started(rig).await_energy("standby")
        with pytest.raises(RequestError, match="does not lie in"):
            requester.request("run_begin", {"run_id": "x", "folder": "/tmp/x", "digest": rig.loaded.digest})


def test_a_run_s_journal_lies_in_its_folder_and_a_silent_death_of_acquire_brings_all_down():
    with guard_alone() as rig, Requester(rig.loaded.layout.guard_ipc, 20.0) as requester:
        ready(rig)
        with recording(rig) as acquire:
            folder = begin(rig, requester)
            wait_for(lambda: rig.twin.plant.specimen.v_v > 200, f"a ramp\n{rig.logs()}", 30.0)
            assert rig.twin.plant.trigger.running
            assert rig.ask_guard("status")["run_id"] == "run-1"
            acquire.die()
            wait_for(lambda: not rig.twin.plant.trigger.running, "the inhibit", 30.0)
            rig.await_energy("safe")
        wait_for(lambda: rig.ask_guard("status")["run_id"] == "", "the run's end", 30.0)
        wait_for(lambda: list((folder / "blackbox").glob("*.npz")), "the black box", 30.0)
        assert read_box(next((folder / "blackbox").glob("*.npz"))).causes[0]["rule"] == "acquire-lost"
        journalled = list(read_journal(folder / "journal" / "guard"))
        assert {message.header["run"] for message in journalled if message.topic == "loop."} == {"run-1"}
        assert str(rig.loaded.layout.guard_journal) in rig.ask_guard("status")["journal"]


def test_abort_works_without_acquire_and_is_verified():
    with guard_alone() as rig, Requester(rig.loaded.layout.guard_ipc, 20.0) as requester:
        energised(rig, 1000.0)
        started(rig)
        requester.request("abort", {"reason": "test"})
        rig.await_energy("safe")
        assert rig.twin.plant.specimen.v_v < 50


def test_beside_an_invalid_file_the_last_good_configuration_brings_a_voltage_down():
    with guard_alone() as rig:
        last_good.write(rig.loaded)
        energised(rig, 1000.0)
        rig.config.write_text(rig.config.read_text().replace("v_tot_max_v", "v_total_max_v"))
        status = started(rig).await_energy("safe", timeout_s=60.0)
        assert any("v_total_max_v" in text for text in status["alarms"])
        assert rig.twin.plant.specimen.demand_v == 0.0


def test_law_monitor_leaves_a_voltage_alone_even_when_it_ends():
    with guard_alone({"control": {"law": "monitor"}}) as rig:
        energised(rig, 1000.0)
        firing(rig)
        started(rig)
        wait_for(lambda: (rig.ask_guard("status")["v_dc_v"] or 0) > 900, "a reading", 30.0)
        rig.kill("guard", signal.SIGTERM)
        assert rig.reap("guard", 60.0) == 0
        assert rig.twin.plant.specimen.demand_v == pytest.approx(1000.0, rel=0.01)
        assert rig.twin.plant.trigger.running


FAULT_IN_THE_CORE = """
import sys
from pathlib import Path
from evapd.config import load_rig
from evapd.guard.process import Loop
from evapd.guard.service import GuardService
from evapd.notify import Notifier
from evapd.stream.frame import Framer

def raises(now_s):
    raise RuntimeError("a fault in the core")

loaded = load_rig(Path(sys.argv[1]))
service = GuardService(loaded, Framer("i", lambda: 0, lambda: 0))
service.core.steering.climb = raises
with Loop(loaded, service, Notifier()) as loop:
    sys.exit(loop.run())
"""


def test_an_error_in_the_loop_makes_everything_safe_and_is_no_clean_end():
    with guard_alone({"control": {"v_start_v": 100, "v_min_v": 50}}) as rig:
        with (rig.loaded.layout.folder / "guard.log").open("ab") as log:
            guard = subprocess.Popen([sys.executable, "-c", FAULT_IN_THE_CORE, str(rig.config)], stderr=log)
        rig.processes["guard"] = guard
        wait_for(lambda: (rig.guard_status() or {"alarms": 1})["alarms"] == [], "readings", 30.0)
        rig.await_energy("standby")
        with recording(rig), Requester(rig.loaded.layout.guard_ipc, 20.0) as requester:
            begin(rig, requester)
            assert rig.reap("guard", 60.0) == 1
        assert "a fault in the core" in rig.logs()
        assert rig.twin.plant.specimen.demand_v == 0.0
        assert not rig.twin.plant.trigger.running


def test_the_last_good_configuration_is_what_was_written():
    with rig_folder() as folder:
        loaded = load_rig(write_rig(folder))
        loaded.layout.make()
        assert last_good.read(loaded.layout) is None
        last_good.write(loaded)
        again = last_good.read(loaded.layout)
        assert (again.rig, dict(again.devices), again.digest) == (
            loaded.rig,
            dict(loaded.devices),
            loaded.digest,
        )


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"rig": {}}', '{"rig": null}', "\x00"])
def test_a_damaged_last_good_configuration_is_none(garbage):
    with rig_folder() as folder:
        loaded = load_rig(write_rig(folder))
        loaded.layout.make()
        loaded.layout.last_good.write_text(garbage)
        assert last_good.read(loaded.layout) is None
