"""The twin in process and as a program: cables, time, readiness, ends."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evapd.errors import ConfigError
from evapd_sim.twin import Twin
from evapd_sim.wire.fug_probus import FugProbusWire
from support.twin_rig import EXHAUSTED, TdcClient, load, write_rig

FAST_REPLAY = "{ data: absent.raw, generated_hits: 2000, speed: 10, lead_s: 0.05 }"
_RUN = "import sys; from pathlib import Path; from evapd_sim.twin import run; "


@pytest.fixture
def twins() -> Iterator[list[Twin]]:
    """Twins put in here are stopped in the end."""
    started: list[Twin] = []
    yield started
    for twin in started:
        twin.stop()


def start(twins: list[Twin], folder: Path, kind: str = "atom-probe", settings: str = "{}") -> Twin:
    twin = Twin(load(folder, kind, settings))
    twins.append(twin)
    twin.start()
    return twin


def test_every_instrument_is_at_its_cable_and_gone_after_the_stop(tmp_path: Path, twins: list[Twin]) -> None:
    twin = start(twins, tmp_path)
    ends = [tmp_path / "d" / "twin" / name for name in ("hv", "tdc.sock")]
    assert twin.servers.keys() == {"supply", "tdc"}
    assert all(end.exists() for end in ends)
    twin.stop()
    assert not any(end.is_symlink() or end.exists() for end in ends)
    assert twin.ended.is_set()


def test_an_address_that_is_taken_is_said_and_leaves_nothing_open(tmp_path: Path, twins: list[Twin]) -> None:
    first = start(twins, tmp_path)
    terminal = (tmp_path / "d" / "twin" / "hv").readlink()
    second = Twin(load(tmp_path))
    with pytest.raises(ConfigError, match=r"tdc\.sock"):
        second.start()
    assert second.servers == {}
    assert (tmp_path / "d" / "twin" / "hv").readlink() == terminal, "the first twin lost its terminal"
    assert not first.ended.is_set()


def test_a_stopped_or_never_started_twin_can_be_stopped(tmp_path: Path) -> None:
    twin = Twin(load(tmp_path))
    twin.stop()
    twin.stop()


def test_pulses_counted_follow_the_clock_without_gap(tmp_path: Path, twins: list[Twin]) -> None:
    twin = start(twins, tmp_path)
    twin.plant.trigger.rate_hz, twin.plant.trigger.running = 200_000.0, True
    client = TdcClient(tmp_path / "d" / "twin" / "tdc.sock")
    began_s, expected = time.monotonic(), 0
    for frame in client.frames():
        assert frame.first_pulse == expected
        expected += frame.pulses
        if expected > 100_000:
            break
    elapsed_s = time.monotonic() - began_s
    client.close()
    assert expected / 200_000 <= elapsed_s + 0.1
    assert elapsed_s < expected / 200_000 + 30.0


def test_a_voltage_on_the_front_panel_makes_the_tip_evaporate_into_the_stream(
    tmp_path: Path, twins: list[Twin]
) -> None:
    twin = start(twins, tmp_path, settings="{ specimen: { pulse_top_s: 1e-8 }, detector: { noise_hz: 0 } }")
    twin.plant.trigger.rate_hz, twin.plant.trigger.running = 200_000.0, True
    supply = twin.wires["supply"]
    assert isinstance(supply, FugProbusWire)
    supply.front_panel(3300.0, output=True)
    client = TdcClient(tmp_path / "d" / "twin" / "tdc.sock")
    deadline_s, words = time.monotonic() + 60.0, 0
    for frame in client.frames():
        words += frame.words
        if words > 500 or time.monotonic() > deadline_s:
            break
    client.close()
    assert words > 500


def test_a_replay_waits_for_arming_then_plays_every_hit_and_says_that_it_is_exhausted(
    tmp_path: Path, twins: list[Twin], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVAPD_DATA", str(tmp_path / "nowhere"))
    with caplog.at_level(logging.WARNING):
        twin = start(twins, tmp_path, "replay", FAST_REPLAY)
    assert "replaying 2000 generated hits" in caplog.text
    note = json.loads((tmp_path / "d" / "twin" / "replay-source.json").read_text())
    assert (note["generated"], note["hits"]) == (True, 2000)
    assert twin.replay is not None
    assert twin.replay.position == 0
    client = TdcClient(tmp_path / "d" / "twin" / "tdc.sock")
    words = 0
    for frame in client.frames():
        words += frame.words
        if frame.flags & EXHAUSTED:
            break
    client.close()
    assert words == 5 * 2000
    assert twin.plant.specimen.v_v == pytest.approx(14721.45, abs=0.1)


def test_a_replay_without_a_supply_to_turn_says_what_it_needs(tmp_path: Path) -> None:
    loaded = load(tmp_path, "replay", FAST_REPLAY)
    devices = {"tdc": loaded.rig.devices["tdc"]}
    object.__setattr__(loaded, "rig", loaded.rig.model_copy(update={"devices": devices}))
    with pytest.raises(ConfigError, match="role specimen"):
        Twin(loaded)


def test_a_driver_without_a_simulated_instrument_is_named(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    odd = loaded.rig.devices["supply"].model_copy(update={"driver": "home-made"})
    devices = {**loaded.rig.devices, "supply": odd}
    object.__setattr__(loaded, "rig", loaded.rig.model_copy(update={"devices": devices}))
    with pytest.raises(ConfigError, match=r"devices\.supply: there is no simulated instrument .* home-made"):
        Twin(loaded)


@pytest.mark.parametrize(
    ("options", "message"),
    [("{ supply: { colour: red } }", r"wires\.supply: .*colour"), ("{ pump: { a: 1 } }", "no device pump")],
)
def test_wrong_options_of_an_instrument_are_named(tmp_path: Path, options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Twin(load(tmp_path, settings=f"{{ wires: {options} }}"))


def program(rig: Path, folder: Path, **environ: str) -> subprocess.Popen[str]:
    code = _RUN + "sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2])))"
    command = [sys.executable, "-c", code, str(rig), str(folder)]
    return subprocess.Popen(
        command, env={**os.environ, **environ}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_program_tells_that_it_is_ready_and_ends_cleanly_when_asked(
    tmp_path: Path, signum: signal.Signals
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(60.0)
        child = program(write_rig(tmp_path), tmp_path / "d", NOTIFY_SOCKET=str(tmp_path / "n"))
        try:
            assert manager.recv(200).startswith(b"READY=1")
            child.send_signal(signum)
            _, said = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, said) == (0, "")
    assert list((tmp_path / "d" / "twin").iterdir()) == []


def test_a_rig_without_a_twin_is_refused_with_the_code_of_a_wrong_configuration(tmp_path: Path) -> None:
    path = write_rig(tmp_path)
    path.write_text(path.read_text().partition("twin:\n")[0])
    _, said = (child := program(path, tmp_path / "d")).communicate(timeout=60)
    assert child.returncode == 78
    assert "nothing to simulate" in said
