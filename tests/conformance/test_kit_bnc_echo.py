"""The BNC driver passes the kit at a port that echoes, too."""

from conformance.instruments.bnc_577 import EchoingBnc577
from evapd.device.conformance import conformance_tests

test_conformance = conformance_tests(EchoingBnc577)
