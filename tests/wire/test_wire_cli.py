"""The command that serves one instrument alone."""

import signal
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from evapd_sim.cli import app
from evapd_sim.wire.registry import WIRES
from wire.frames import ARM, DATA, cut, request

RUNNER = CliRunner()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_instrument_alone_says_where_it_listens_and_ends_on_a_signal(number):
    command = [sys.executable, "-m", "evapd_sim.cli", "wire", "fug-probus", "--listen", "tcp:127.0.0.1:0"]
    with subprocess.Popen([*command, "--set", "model=TEST"], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[-1]
            with socket.create_connection(tuple(address.removeprefix("tcp:").rsplit(":", 1)), 20) as link:
                link.sendall(b"*IDN?\n")
                assert link.recv(100) == b"FUG TEST MOD 17022-01-01\r\n"
            process.send_signal(number)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_tdc_alone_sees_ions_with_all_their_signals(tmp_path):
    path = tmp_path / "tdc.sock"
    command = [sys.executable, "-m", "evapd_sim.cli", "wire", "tdc-stream", "--listen", f"unix:{path}"]
    with subprocess.Popen([*command, "--ions", "5000"], stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.readline()
            words, rest = [], b""
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(str(path))
                link.settimeout(20.0)
                link.sendall(request(ARM))
                while len(words) < 100:
                    frames, rest = cut(rest + link.recv(1 << 16))
                    words += [word for each in frames if each.kind == DATA for word in each.words]
        finally:
            process.terminate()
    assert sorted(channel for _, channel, _ in words[:5]) == [0, 1, 2, 3, 4]


def test_the_list_names_every_instrument_and_its_settings():
    result = RUNNER.invoke(app, ["wire", "--list"])
    assert result.exit_code == 0
    assert all(f"{name}: " in result.output for name in WIRES)
    assert "rated_v = 20000.0" in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nothing"], "no simulated instrument 'nothing'"),
        (["dg645"], "not a descriptor"),
        (["dg645", "--listen", "tcp:0.0.0.0:1"], "reached by others"),
        (["dg645", "--listen", "tcp:127.0.0.1:0", "--set", "colour=red"], "allowed are serial"),
        (["dg645", "--listen", "tcp:127.0.0.1:0", "--set", "rate_hz=fast"], "'fast' does not fit rate_hz"),
        (["fug-probus", "--listen", "tcp:127.0.0.1:0", "--set", "terminator=9"], "does not fit terminator"),
    ],
)
def test_a_wrong_command_says_what_is_allowed_and_ends_with_2(arguments, why):
    result = RUNNER.invoke(app, ["wire", *arguments])
    assert result.exit_code == 2
    assert why in result.output
