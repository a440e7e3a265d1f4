"""The kit with a driver that has no cable of its own: a detector behind a vendor's library, which delivers hits."""

import itertools
import threading
import time
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from evapd.blocks import Anchor, HitBlock
from evapd.device import DriverConfig, HitSource, Identity, TdcDescription, TdcReading
from evapd.device.conformance import InstrumentUnderTest, Nonconformance, conformance_tests, run_check
from evapd.errors import DeviceIdentityError, DeviceLost, DeviceRefused

DESCRIPTION = TdcDescription(bin_ps=Fraction(25), channels=1, counter_bits=32)
LIBRARY = {}  # detectors by the name that `connect` gives, as a vendor's library finds them


class Detector:
    """What the library shows of a detector: a hit in every tenth pulse, ten pulses a millisecond."""

    def __init__(self):
        self.serial, self.ready, self.armed = "H1", True, threading.Event()

    def arm(self):
        self.pulses = itertools.count(0, 10)
        self.armed.set()

    def wait(self, timeout_s):
        if not self.armed.wait(timeout_s):
            return None
        time.sleep(1e-3)
        return next(self.pulses)


class LibraryHits:
    """The driver: no transport, no clock."""

    protocol: ClassVar[type] = HitSource
    Config = DriverConfig

    def __init__(self, config):
        self._config, self._detector = config, None
        self._reading = self._state(armed=False)

    def open(self):
        self.close()
        found = LIBRARY.get(self._config.connect.removeprefix("unix:"))
        if found is None:
            raise DeviceLost("the library finds no detector")
        if self._config.serial_number not in (None, found.serial):
            raise DeviceIdentityError(f"detector {found.serial} answers, not {self._config.serial_number}")
        self._detector = found
        return Identity(vendor="Example", model="hits", serial=found.serial)

    def close(self):
        if self._detector is not None:
            self._detector.armed.clear()
        self._detector = None

    def read(self):
        self._must_be_open()
        return self._reading

    def make_safe(self):
        """Nothing to do: it feeds no energy."""

    def describe(self):
        return DESCRIPTION

    def arm(self):
        if not self._must_be_open().ready:
            raise DeviceRefused("no reference clock")
        self._detector.arm()
        self._reading = self._state(armed=True)

    def disarm(self):
        self._must_be_open().armed.clear()
        self._reading = self._state(armed=False)

    def read_block(self, timeout_s):
        first = self._must_be_open().wait(timeout_s)
        if first is None:
            return None
        columns = {
            "tof_ps": np.int32,
            "x_um": np.int32,
            "y_um": np.int32,
            "quality": np.uint8,
            "multiplicity": np.uint8,
        }
        return HitBlock(
            first_pulse=first,
            last_pulse=first + 9,
            pulse=np.array([first], np.uint32),
            anchor=Anchor(first + 10, int(time.monotonic() * 1e6)),
            **{name: np.ones(1, kind) for name, kind in columns.items()},
        )

    def _must_be_open(self):
        if self._detector is None:
            raise DeviceLost("not open")
        return self._detector

    def _state(self, *, armed):
        return TdcReading(
            t_mono_s=time.monotonic(), armed=armed, pulse_counter=0, words=0, lost_words=0, sequence_gaps=0,
            saturated=False,
        )  # fmt: skip


class LibraryDetector(InstrumentUnderTest):
    driver = LibraryHits
    serial = "H1"

    def start(self, endpoint):
        self.name = endpoint.removeprefix("unix:")
        LIBRARY[self.name] = Detector()
        return endpoint

    def stop(self):
        del LIBRARY[self.name]

    def refuse(self):
        LIBRARY[self.name].ready = False

    def renumber(self):
        LIBRARY[self.name].serial = "H2"


test_conformance = conformance_tests(LibraryDetector)


def test_a_library_has_no_cable_to_tamper_with():
    names = {case.values[1] for case in test_conformance.pytestmark[0].args[1]}
    assert "arming_begins_at_pulse_zero" in names
    assert not names & {
        "silence_is_a_timeout",
        "random_bytes_are_never_a_reading",
        "lost_boundaries_end_the_link",
    }


def test_blocks_out_of_order_are_found():
    class Backwards(LibraryHits):
        def read_block(self, timeout_s):
            block = super().read_block(timeout_s)
            return block and HitBlock(
                **{name: getattr(block, name) for name in block.__slots__}
                | {"pulse": np.array([9, 3], np.uint32)}
            )

    with pytest.raises(Nonconformance, match="not ascending"):
        run_check(type("Faulty", (LibraryDetector,), {"driver": Backwards}), "arming_begins_at_pulse_zero")
