"""Events at the cables of a running twin, and the socket that takes them."""

import itertools
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from typer.testing import CliRunner

from evapd.errors import ConfigError, DeviceError
from evapd_sim.cli import app
from evapd_sim.disturb.catalogue import EVENTS, table
from evapd_sim.disturb.control import ask
from evapd_sim.twin import Twin
from support.twin_rig import TdcClient, load, write_rig
from support.wait import wait_for

IDENTITY = b"FUG HCP 14 - 20 000 MOD 17022-01-01\r\n"


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    running = Twin(load(tmp_path))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def cable(twin: Twin, timeout_s: float = 20.0) -> Iterator[serial.Serial]:
    with serial.Serial(str(twin.loaded.layout.twin / "hv"), 115_200, timeout=timeout_s) as port:
        yield port


def answer(twin: Twin, timeout_s: float = 20.0) -> bytes:
    with cable(twin, timeout_s) as port:
        port.write(b"*IDN?\n")
        return bytes(port.read_until(b"\n"))


def talk(twin: Twin, text: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20.0)
        link.connect(twin.control.address.removeprefix("unix:"))
        link.sendall(text)
        with link.makefile("rb") as lines:
            told = json.loads(lines.readline())
    assert isinstance(told, dict)
    return told


# -- cables -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "reply"),
    [
        ({"do": "silent"}, b""),
        ({"do": "deaf"}, b""),
        ({"do": "lost", "every": 1}, b""),
        ({"do": "half-lines"}, IDENTITY[: len(IDENTITY) // 2]),
    ],
)
def test_a_fault_of_the_cable_spoils_the_reply_and_ends(twin: Twin, event: dict, reply: bytes) -> None:
    twin.do({**event, "device": "supply"})
    with cable(twin, 20.0) as port:
        port.write(b"*IDN?\n")
        assert port.read(len(reply)) == reply
        port.timeout = 0.3
        assert port.read(1) == b""
    twin.do({"do": "clear"})
    assert answer(twin).endswith(IDENTITY)


def test_a_late_reply_comes_all_the_same(twin: Twin) -> None:
    twin.do({"do": "late", "device": "supply", "delay_s": 2})
    with cable(twin, 0.1) as port:
        port.write(b"*IDN?\n")
        assert port.read_until(b"\n") == b""
        port.timeout = 30.0
        assert port.read_until(b"\n") == IDENTITY


def test_an_echo_comes_before_the_reply(twin: Twin) -> None:
    twin.do({"do": "echo", "device": "supply"})
    with cable(twin) as port:
        port.write(b"*IDN?\n")
        assert port.read(6 + len(IDENTITY)) == b"*IDN?\n" + IDENTITY


def test_garbage_has_the_length_of_the_reply(twin: Twin) -> None:
    twin.do({"do": "garbage", "device": "supply"})
    with cable(twin) as port:
        port.write(b"*IDN?\n")
        noise = port.read(len(IDENTITY))
    assert len(noise) == len(IDENTITY)
    assert noise != IDENTITY


def test_duplicates_come_twice(twin: Twin) -> None:
    twin.do({"do": "duplicate", "device": "supply"})
    with cable(twin) as port:
        port.write(b"*IDN?\n")
        assert port.read(2 * len(IDENTITY)) == 2 * IDENTITY


def test_a_fault_ends_by_itself_after_its_time(twin: Twin) -> None:
    twin.do({"do": "silent", "device": "supply", "for_s": "50 ms"})
    wait_for(lambda: not twin.servers["supply"].silent, "the cable to be whole again", 30.0)
    assert answer(twin) == IDENTITY


def test_a_cable_is_pulled_and_put_back(twin: Twin) -> None:
    twin.do({"do": "unplug", "device": "supply"})
    assert not (twin.loaded.layout.twin / "hv").exists()
    twin.do({"do": "replug", "device": "supply"})
    assert answer(twin) == IDENTITY
    assert twin.disturbances.active == []


def test_another_unit_at_the_same_cable_tells_its_own_serial_number(twin: Twin) -> None:
    twin.do({"do": "other-unit", "device": "supply", "serial": "99999-01-01", "for_s": 0.02})
    wait_for(lambda: twin.disturbances.active == [], "the cable to be back", 30.0)
    assert answer(twin) == b"FUG HCP 14 - 20 000 MOD 99999-01-01\r\n"


def test_a_cable_that_cannot_be_put_back_is_told_and_the_physics_goes_on(twin: Twin) -> None:
    path = twin.loaded.layout.twin / "hv"
    twin.do({"do": "unplug", "device": "supply"})
    path.write_text("in the way")
    twin.do({"do": "clear", "what": "unplug"})
    assert "FAILED" in twin.disturbances.history[-1].text
    path.unlink()
    twin.do({"do": "replug", "device": "supply"})
    assert answer(twin) == IDENTITY
    assert not twin.ended.is_set()


def test_frames_of_the_tdc_come_late_and_twice_by_its_cable(twin: Twin) -> None:
    client = TdcClient(twin.loaded.layout.twin / "tdc.sock")
    try:
        frames = client.frames()
        next(frames)
        twin.do({"do": "duplicate", "device": "tdc"})
        seen = [next(frames) for _ in range(50)]
        assert any(one.seq == other.seq for one, other in itertools.pairwise(seen))
        twin.do({"do": "late", "device": "tdc", "delay_s": 0.3})
        silences_s, last_s = [], time.monotonic()
        while max(silences_s, default=0.0) < 0.2 and len(silences_s) < 2000:
            next(frames)
            now_s = time.monotonic()
            silences_s.append(now_s - last_s)
            last_s = now_s
        assert max(silences_s) >= 0.2
    finally:
        client.close()


def test_a_script_that_names_no_device_of_the_rig_is_refused_with_its_place(tmp_path: Path) -> None:
    script = "{ script: [{ at_s: 1, do: burst }, { at_s: 2, do: silent, device: pump }] }"
    with pytest.raises(ConfigError, match=r"script: event 2, silent: there is no device 'pump'"):
        Twin(load(tmp_path, settings=script))


def test_an_event_with_a_wrong_parameter_is_refused_when_the_rig_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rig\.yaml:\d+:\d+.*colour"):
        load(tmp_path, settings="{ script: [{ at_s: 1, do: burst, colour: red }] }")


def test_a_script_runs_in_a_replay_too(tmp_path: Path) -> None:
    script = "script: [{ at_s: 0, do: tdc-jump }]"
    replay = Twin(load(tmp_path, "replay", f"{{ data: none.raw, generated_hits: 1000, {script} }}"))
    replay.start()
    try:
        wait_for(lambda: len(replay.disturbances.history) > 0, "the event", 30.0)
    finally:
        replay.stop()


# -- commands -----------------------------------------------------------------------------------------------------------


def test_a_command_is_done_and_answered_with_the_state(twin: Twin) -> None:
    told = talk(twin, b'{"do": "pole-noise", "tau_s": "500 ms"}\n')
    assert told["ok"]
    assert told["active"] == ["pole-noise sigma=0.1 tau_s=0.5"]
    assert talk(twin, b"{}\n")["t_s"] >= told["t_s"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"burst\n", "not JSON"),
        (b"[1]\n", "not an object"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[" * 60_000 + b"\n", "not JSON"),
        (b'{"do": "explode"}\n', "evapd-sim events"),
        (b'{"do": {}}\n', "evapd-sim events"),
        (b'{"do": "burst", "ions": 0}\n', "ions: Input should be greater than 0"),
        (b'{"do": "silent", "device": "pump"}\n', "no device 'pump'"),
        (b'{"do": "trip", "supply": "pulse"}\n', "no simulated supply"),
    ],
)
def test_what_is_no_command_is_refused_and_the_socket_goes_on(twin: Twin, text: bytes, why: str) -> None:
    told = talk(twin, text)
    assert not told["ok"]
    assert why in told["error"]
    assert talk(twin, b"{}\n")["ok"]


def hung_up(link: socket.socket, text: bytes) -> bool:
    try:
        link.sendall(text)
        return link.recv(1) == b""
    except (BrokenPipeError, ConnectionResetError):
        return True


def test_a_line_without_end_is_hung_up_on(twin: Twin) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20.0)
        link.connect(twin.control.address.removeprefix("unix:"))
        assert hung_up(link, b"x" * 70_000)
    assert talk(twin, b"{}\n")["ok"]


def test_a_second_twin_in_the_folder_is_refused_and_the_first_keeps_its_socket(twin: Twin) -> None:
    with pytest.raises(ConfigError):
        Twin(twin.loaded).start()
    assert talk(twin, b"{}\n")["ok"]


def test_nobody_but_the_owner_may_command(twin: Twin) -> None:
    path = Path(twin.control.address.removeprefix("unix:"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_twin_that_does_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no twin answers at"):
        ask(tmp_path / "do.sock", {})


def test_the_command_line_finds_the_twin_by_rig_file_or_address(twin: Twin, tmp_path: Path) -> None:
    by_file = ["do", str(write_rig(tmp_path)), "layer-step", "change=-0.1", "--folder", str(tmp_path / "d")]
    assert CliRunner().invoke(app, by_file).exit_code == 0
    assert twin.experiment is not None
    assert twin.experiment.specimen.field_factor == pytest.approx(0.9)
    told = CliRunner().invoke(app, ["do", twin.control.address, "oscillation", "period_s=2 s", "--json"])
    assert json.loads(told.output)["active"] == ["oscillation amplitude=0.3 period_s=2.0"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["burst", "ions"], 2, "not key=value"),
        (["burst", "ions=[1"], 2, "cannot be read"),
        (["burst", "ions=-1"], 1, "greater than 0"),
    ],
)
def test_the_command_line_says_what_is_wrong(twin: Twin, words: list[str], code: int, why: str) -> None:
    told = CliRunner().invoke(app, ["do", twin.control.address, *words])
    assert told.exit_code == code
    assert why in told.output


def test_the_command_line_lists_every_event() -> None:
    told = CliRunner().invoke(app, ["events"]).output
    assert [name for name in EVENTS if f"\n{name}: " not in "\n" + told] == []
    assert set(json.loads(CliRunner().invoke(app, ["events", "--json"]).output)) == set(EVENTS)


def test_the_page_of_the_twin_has_the_table_of_events() -> None:
    page = (Path(__file__).parents[2] / "docs" / "twin.md").read_text()
    assert table() in page, "put the output of `evapd-sim events --markdown` into docs/twin.md"
