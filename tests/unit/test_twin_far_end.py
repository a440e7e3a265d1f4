import pytest

from evapd.errors import ConfigError
from evapd_sim.far_end import far_end


@pytest.mark.parametrize(
    ("connect", "end"),
    [
        ("serial:/a/supply:9600-8N1", "serial:/a/supply:9600-8N1"),
        ("tcp:127.0.0.1:17645", "tcp:127.0.0.1:17645"),
        ("unix:/a/tdc.sock", "unix:/a/tdc.sock"),
        ("visa:TCPIP0::127.0.0.1::17777::SOCKET", "tcp:127.0.0.1:17777"),
    ],
)
def test_an_instrument_stands_where_its_driver_connects(connect: str, end: str) -> None:
    assert far_end(connect) == end


def test_a_serial_instrument_may_keep_its_own_speed() -> None:
    assert far_end("serial:/a/supply:9600-8N1", own_speed=True) == "pty:/a/supply"


def test_a_resource_that_cannot_be_simulated_is_refused_with_what_can() -> None:
    with pytest.raises(ConfigError, match="visa:TCPIP0::HOST::PORT::SOCKET"):
        far_end("visa:GPIB0::12::INSTR")
