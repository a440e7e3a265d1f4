"""The section `metrics` of a rig: where Prometheus may fetch counters."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator

from evapd.config.section import Section

OFF = "off"


def host_and_port(address: str) -> tuple[str, int]:
    """Give host and port of a loopback address; port 0 is any that is free.

    Raises:
        ValueError: when it is not an address of this machine's loopback.
    """
    host, _, port = address.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(
            f"'{address}' is not allowed: metrics are served to this machine only, on 127.0.0.1:PORT or [::1]:PORT, because "
            "they carry neither keys nor encryption; reach another machine through an SSH tunnel, or write off"
        )
    return host, int(port)


def _checked(address: str) -> str:
    if address != OFF:
        host_and_port(address)
    return address


class Metrics(Section):
    """Counters, ages and margins for Prometheus; docs/metrics.md lists them."""

    address: Annotated[str, AfterValidator(_checked)] = "127.0.0.1:17605"  # or off
