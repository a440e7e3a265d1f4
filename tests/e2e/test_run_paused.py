"""A run that a person pauses, aligns and resumes, through the whole daemon: sockets, guard, instruments, record."""

import json
from pathlib import Path

from support.daemon import daemon
from support.wait import wait_for

SHORT = {
    "control": {"v_start_v": 1600, "resume_s": 90.0},
    "guard": {"start_ramp_v_per_s": 1500.0},
    "end": {"time_s": 120},
}


def test_pause_align_and_resume_reach_the_instruments_and_the_record():
    with daemon(SHORT) as rig:
        run = rig.start_run()
        rig.await_energy("evaporating")
        stood_v = rig.ask_guard("status")["v_dc_set_v"]
        rig.ask("pause")
        wait_for(lambda: not rig.twin.plant.trigger.running, "pulses off", 30.0)
        wait_for(lambda: rig.twin.plant.specimen.v_v < 0.9 * stood_v, f"a lower voltage\n{rig.logs()}", 30.0)
        rig.ask("align")
        wait_for(lambda: rig.twin.plant.specimen.v_v < 0.52 * stood_v, f"half of it\n{rig.logs()}", 30.0)
        assert rig.ask("status")["guard"]["energy_state"] in ("aligning", "paused")
        rig.ask("resume")
        rig.await_energy("evaporating")
        wait_for(lambda: rig.twin.plant.specimen.v_v > 0.88 * stood_v, f"nine tenths\n{rig.logs()}", 30.0)
        status = rig.guard_status()
        assert status["target_now"] < 0.9 * status["target_rate"], status
        rig.ask("stop")
        rig.await_run("idle")
        record = json.loads((Path(run["folder"]) / "run.json").read_text())
    assert any("resumed at" in segment["reason"] for segment in record["segments"])
    assert "GOOD" in record["conditions"]
