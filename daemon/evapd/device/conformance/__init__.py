"""The conformance kit: one suite of checks per Protocol, for drivers in this repository and outside it. Needs pytest and hypothesis."""

from evapd.device.conformance.bench import Bench, Nonconformance
from evapd.device.conformance.instrument import InstrumentUnderTest, Setpoint
from evapd.device.conformance.suite import conformance_tests, laws, run_check, table

__all__ = [
    "Bench",
    "InstrumentUnderTest",
    "Nonconformance",
    "Setpoint",
    "conformance_tests",
    "laws",
    "run_check",
    "table",
]
