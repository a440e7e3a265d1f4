"""Two daemons on one rig, two programs on one port: the second refuses before a byte is sent."""

from evapd.rpc import Requester
from support.daemon import daemon


def test_a_second_guard_refuses_and_the_first_goes_on() -> None:
    with daemon() as rig:
        first = rig.processes["guard"]
        rig.spawn("guard")
        assert rig.reap("guard", 60.0) != 0
        assert first.poll() is None
        assert rig.ask_guard("status")
        rig.processes["first"] = first


def test_a_second_acquire_refuses_and_the_first_goes_on() -> None:
    with daemon() as rig:
        first = rig.processes["acquire"]
        rig.spawn("acquire")
        assert rig.reap("acquire", 60.0) != 0
        assert first.poll() is None
        with Requester(rig.loaded.rig.sockets.control, 20.0) as requester:
            assert requester.request("status", {})["run_state"] == "idle"
        rig.processes["first"] = first
