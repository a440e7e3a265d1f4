"""TDCs behind a vendor's library: a library made of C in its place, fed with 10 kHz of pulses and a trickle of ions."""

import atexit
import functools
import shutil
import tempfile
import threading
from pathlib import Path

import numpy as np

from evapd.device.conformance import InstrumentUnderTest
from evapd.record.hitsfile import write_hits, write_words
from evapd_drivers.tdc.crono4 import TimeTagger4, Xtdc4
from evapd_drivers.tdc.replay import ReplayHits, ReplayWords
from evapd_drivers.tdc.surface_concept import SurfaceConceptHits, SurfaceConceptWords
from evapd_drivers.tdc.swabian import Swabian
from evapd_drivers.tdc.tdc8hp import Tdc8Hp
from evapd_drivers.tdc.xhptdc8 import Xhptdc8
from evapd_sim.sdk.sctdc import FakeScTdc
from evapd_sim.sdk.swabian import FakeTimeTagger
from evapd_sim.sdk.tdc4 import FakeTdc4
from evapd_sim.sdk.tdc8hp import FakeTdc8Hp
from evapd_sim.sdk.xhptdc8 import FakeXhptdc8
from support.blocks import hits, words

STEP_S, PULSES = 1e-3, 10


@functools.cache
def built():
    """A folder for compiled libraries, the same for all tests of a session."""
    folder = tempfile.mkdtemp(prefix="evapd-sdk-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class Feeding:
    """Delivers steps of 1 ms from a thread of its own, as a twin does."""

    def __init__(self, deliver):
        self._deliver, self._ended = deliver, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._ended.set()
        self._thread.join(5.0)

    def _run(self):
        rng = np.random.default_rng(0)
        while not self._ended.wait(STEP_S):
            pulse = np.sort(rng.integers(0, PULSES, rng.poisson(0.3)))
            words = len(pulse) * 5
            self._deliver(
                np.repeat(pulse, 5), np.tile(np.arange(5), len(pulse)), np.sort(rng.integers(1000, 90_000, words)),
                pulses=PULSES,
            )  # fmt: skip


class LibraryTdc(InstrumentUnderTest):
    """A vendor's library; `fake` makes it."""

    fake = None

    def start(self, endpoint):
        self.made = type(self).fake(built())
        self.feeding = Feeding(self.made.deliver)
        return f"library:{self.made.path}"

    def stop(self):
        self.feeding.close()

    def refuse(self):
        self.made.refuse()

    def renumber(self):
        self.made.renumber()


class Xhptdc8Board(LibraryTdc):
    driver = Xhptdc8
    fake = FakeXhptdc8
    serial = "21.7"


class ScTdcWords(LibraryTdc):
    driver = SurfaceConceptWords
    fake = FakeScTdc
    settings = {"ini": str(built() / "tdc_gpx3.ini")}


class ScTdcHits(ScTdcWords):
    """It matches in hardware: one hit where the other has five words."""

    driver = SurfaceConceptHits

    def start(self, endpoint):
        self.made = FakeScTdc(built())
        self.feeding = Feeding(self._deliver)
        return f"library:{self.made.path}"

    def _deliver(self, pulse, channels, times, *, pulses):
        hits = np.asarray(pulse)[::5]
        self.made.deliver_hits(
            hits, np.full(len(hits), 5e5), np.zeros(len(hits)), np.zeros(len(hits)), pulses=pulses
        )


class TimeTagger4Board(LibraryTdc):
    driver = TimeTagger4
    fake = FakeTdc4
    serial = "23.5"


class Xtdc4Board(TimeTagger4Board):
    driver = Xtdc4


class Tdc8HpBoard(LibraryTdc):
    driver = Tdc8Hp
    fake = FakeTdc8Hp


class SwabianTagger(LibraryTdc):
    """A Python module in place of the maker's."""

    driver = Swabian
    serial = "2134000XYZ"

    def start(self, endpoint):
        self.made = FakeTimeTagger()
        self.made.plug()
        self.feeding = Feeding(self.made.deliver)
        return "module:evapd_sim.sdk.swabian"


class Recorded(InstrumentUnderTest):
    """A file of words of 10 s at 10 kHz; to refuse is to be gone."""

    driver = ReplayWords
    settings = {"pulse_rate_hz": 10_000.0}

    def start(self, endpoint):
        self.folder = Path(tempfile.mkdtemp(prefix="evapd-replay-"))
        self.path = self.folder / "recorded.npz"
        self.write()
        return f"file:{self.path}"

    def write(self):
        write_words(self.path, [words(0, 99_999, [(pulse, 0, 1000) for pulse in range(0, 100_000, 100)])])

    def stop(self):
        shutil.rmtree(self.folder)

    def refuse(self):
        self.path.unlink()


class RecordedHits(Recorded):
    driver = ReplayHits

    def write(self):
        write_hits(self.path, [hits(0, 99_999, [(pulse, 500_000) for pulse in range(0, 100_000, 100)])])
