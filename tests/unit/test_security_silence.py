"""Why nobody answers, for the message that a person reads."""

import socket

import pytest

from evapd.rpc import Service
from evapd.security.silence import explain_silence, mechanism_at
from support.keyring import Keyring
from support.rig_files import free_ports

TCP = "tcp://127.0.0.1:*"


@pytest.mark.parametrize(
    ("daemon_keyed", "client_keyed", "said"),
    [(True, False, "demands keys"), (True, True, "does not let these keys in"), (False, True, "has no keys"),
     (False, False, "")],
)  # fmt: skip
def test_a_person_is_told_what_the_other_side_wants(tmp_path, daemon_keyed, client_keyed, said):
    access = Keyring(tmp_path).access() if daemon_keyed else None
    with Service(TCP, [], access=access) as service:
        told = explain_silence(service.address, keyed=client_keyed)
    assert said in told
    assert bool(said) == bool(told)


@pytest.mark.parametrize(
    "address", ["ipc:///tmp/x", "tcp://127.0.0.1:*", "tcp://", "", "tcp://no-such-host.invalid:5"]
)
def test_what_cannot_be_looked_at_is_not_explained(address):
    assert explain_silence(address, keyed=False) == ""


def test_a_closed_port_and_another_protocol_are_not_explained():
    (port,) = free_ports(1)
    assert mechanism_at(f"tcp://127.0.0.1:{port}") == ""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert mechanism_at(f"tcp://127.0.0.1:{mute.getsockname()[1]}") == ""
