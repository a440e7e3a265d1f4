import os
import socket

import pytest

from evapd.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = (
        str(tmp_path / "notify") if request.param == "path" else f"@evapd-test-{os.getpid()}-{tmp_path.name}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0", 1))
        receiver.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        yield receiver, notifier
        notifier.close()


def test_every_message_has_the_form_that_the_manager_reads(manager):
    receiver, notifier = manager
    notifier.ready("standby")
    notifier.watchdog()
    notifier.status("two\nlines")
    notifier.stopping()
    notifier.main_pid(42)
    got = [receiver.recv(1000) for _ in range(5)]
    assert got == [
        b"READY=1\nSTATUS=standby",
        b"WATCHDOG=1",
        b"STATUS=two lines",
        b"STOPPING=1",
        b"MAINPID=42",
    ]


def test_a_status_is_sent_only_when_it_changes(manager):
    receiver, notifier = manager
    notifier.status("same")
    notifier.status("same")
    assert receiver.recv(100) == b"STATUS=same"
    with pytest.raises(BlockingIOError):
        receiver.recv(100)


def test_a_manager_that_does_not_read_never_blocks(manager):
    _, notifier = manager
    for _ in range(5000):
        notifier.watchdog()
    assert notifier.dropped > 0


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    notifier.close()
    assert notifier.dropped == 1


def test_without_a_manager_nothing_happens():
    notifier = Notifier({})
    notifier.ready()
    notifier.close()
    assert notifier.dropped == 0


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_asked_for_only_of_this_process(environ, expected):
    assert Notifier(environ).watchdog_s == expected
