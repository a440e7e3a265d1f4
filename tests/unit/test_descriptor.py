"""Descriptors: one line of text that says where an instrument is connected."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.config.descriptor import (
    FileDescriptor,
    LibraryDescriptor,
    ModuleDescriptor,
    PtyDescriptor,
    SerialDescriptor,
    TcpDescriptor,
    UnixDescriptor,
    VisaDescriptor,
    address,
    below,
    parse_descriptor,
)
from evapd.errors import ConfigError


@pytest.mark.parametrize(("text", "wanted"), [
    ("serial:/dev/ttyUSB0:115200-8N1", SerialDescriptor("/dev/ttyUSB0", 115200, 8, "N", 1.0)),
    ("serial:/dev/ttyS0:9600-7E2", SerialDescriptor("/dev/ttyS0", 9600, 7, "E", 2.0)),
    ("serial:/dev/ttyS0:300-5O1.5", SerialDescriptor("/dev/ttyS0", 300, 5, "O", 1.5)),
    ("serial:/dev/ttyUSB0:921600-8N1-rtscts", SerialDescriptor("/dev/ttyUSB0", 921600, 8, "N", 1.0, "rtscts")),
    ("serial:/dev/ttyUSB0:57600-8N1-xonxoff", SerialDescriptor("/dev/ttyUSB0", 57600, 8, "N", 1.0, "xonxoff")),
    ("serial:twin/supply:115200", SerialDescriptor("twin/supply", 115200)),
    ("serial:/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0:9600-8N1",
     SerialDescriptor("/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0", 9600)),
    ("tcp:dg645.lab:5025", TcpDescriptor("dg645.lab", 5025)),
    ("tcp:[fe80::1%eth0]:5025", TcpDescriptor("fe80::1%eth0", 5025)),
    ("unix:twin/tdc.sock", UnixDescriptor("twin/tdc.sock")),
    ("visa:TCPIP0::127.0.0.1::17777::SOCKET", VisaDescriptor("TCPIP0::127.0.0.1::17777::SOCKET")),
    ("pty:twin/vacuum", PtyDescriptor("twin/vacuum")),
    ("library:/opt/sc/libscTDC.so.1", LibraryDescriptor("/opt/sc/libscTDC.so.1")),
    ("module:Swabian.TimeTagger", ModuleDescriptor("Swabian.TimeTagger")),
    ("file:runs/tungsten", FileDescriptor("runs/tungsten")),
])  # fmt: skip
def test_each_kind_is_read(text: str, wanted: object) -> None:
    assert parse_descriptor(text) == wanted


@pytest.mark.parametrize(("text", "says"), [
    ("", "allowed is serial:PATH"), ("/dev/ttyUSB0", "allowed is serial:PATH"), ("usb:1", "allowed is serial:PATH"),
    ("serial:", "8N1"), ("serial:/dev/ttyUSB0", "8N1"), ("serial:/dev/ttyUSB0:9600-8X1", "parity N E O M S"),
    ("serial:/dev/ttyUSB0:9600-9N1", "bits 5 to 8"), ("serial:/dev/ttyUSB0:9600-8N1-dtr", "-rtscts or -xonxoff"), ("serial:/dev/ttyUSB0:10-8N1", "50 to 4000000"),
    ("tcp:host", "HOST:PORT"), ("tcp::5025", "HOST:PORT"), ("tcp:fe80::1:5025", "brackets"),
    ("tcp:host:0", "1 to 65535"), ("tcp:host:65536", "1 to 65535"), ("unix:", "unix:PATH"), ("visa: ", "visa:RESOURCE"),
])  # fmt: skip
def test_a_wrong_descriptor_says_what_is_allowed(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_descriptor(text)


@given(
    st.text(max_size=60)
    | st.from_regex(r"(serial|tcp|unix|visa|pty|library|module|file):[a-z0-9:\[\]./-]*", fullmatch=True)
)
def test_any_text_is_a_descriptor_that_writes_itself_back_or_an_error(text: str) -> None:
    try:
        descriptor = parse_descriptor(text)
    except ConfigError:
        return
    assert parse_descriptor(str(descriptor)) == descriptor


def test_only_relative_paths_move_below_the_folder() -> None:
    moved = [str(below(parse_descriptor(text), Path("/data"))) for text in (
        "serial:twin/a:9600-8N1", "unix:twin/b", "serial:/dev/ttyUSB0:9600-8N1", "tcp:h:1", "visa:X", "library:libx.so", "module:a.b", "file:runs/c",
    )]  # fmt: skip
    assert moved == [
        "serial:/data/twin/a:9600-8N1", "unix:/data/twin/b", "serial:/dev/ttyUSB0:9600-8N1", "tcp:h:1", "visa:X", "library:libx.so", "module:a.b", "file:/data/runs/c",
    ]  # fmt: skip


def test_one_port_at_two_baud_rates_is_one_address() -> None:
    a, b = parse_descriptor("serial:/dev/ttyUSB0:9600-8N1"), parse_descriptor("serial:/dev/ttyUSB0:115200")
    assert address(a) == address(b)
