"""Whatever records a vendor's library hands over, a driver gives ordered blocks or an error of ours, and never stops counting."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.instruments.library_tdcs import built
from evapd.errors import DeviceError
from evapd_drivers.tdc.crono4 import TimeTagger4
from evapd_drivers.tdc.surface_concept import SurfaceConceptHits, SurfaceConceptWords
from evapd_drivers.tdc.swabian import Swabian
from evapd_drivers.tdc.tdc8hp import Tdc8Hp
from evapd_drivers.tdc.xhptdc8 import Xhptdc8
from evapd_sim.sdk import sctdc, swabian, xhptdc8
from evapd_sim.sdk.tdc4 import FakeTdc4, packed
from evapd_sim.sdk.tdc8hp import FakeTdc8Hp

NOISE = st.lists(
    st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).bytes(480)) | st.binary(max_size=480),
    min_size=1,
    max_size=4,
)
QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Xhptdc8Noise:
    def __init__(self):
        self.fake = xhptdc8.FakeXhptdc8(built())
        self.driver = Xhptdc8(Xhptdc8.Config(connect=f"library:{self.fake.path}"))

    def push(self, noise):
        records = np.frombuffer(noise[: len(noise) // 16 * 16], xhptdc8.HIT)
        self.fake.library.sim_push(records.ctypes.data, len(records))


class ScNoise:
    def __init__(self, kind, dtype, push):
        self.fake, self.dtype = sctdc.FakeScTdc(built()), dtype
        self.driver = kind(kind.Config(connect=f"library:{self.fake.path}", ini=str(self.fake.ini)))
        self.into = getattr(self.fake.library, push)

    def push(self, noise):
        records = np.frombuffer(noise[: len(noise) // self.dtype.itemsize * self.dtype.itemsize], self.dtype)
        self.into(records.ctypes.data, len(records))


class PacketNoise:
    """Packets must be whole, because the library gives them so; what is in them is noise."""

    def __init__(self):
        self.fake = FakeTdc4(built())
        self.driver = TimeTagger4(TimeTagger4.Config(connect=f"library:{self.fake.path}"))

    def push(self, noise):
        pulse = np.arange(len(noise) // 4)
        words = packed(pulse, pulse.astype(np.uint32) % 4, pulse * 100, len(pulse), pulse)
        for k, hit in enumerate(np.frombuffer(noise[: len(pulse) * 4], np.uint32)):
            words[3 * k + 2] = hit
        self.fake.library.sim_push(words.ctypes.data, words.nbytes)


class WordNoise:
    def __init__(self):
        self.fake = FakeTdc8Hp(built())
        self.driver = Tdc8Hp(Tdc8Hp.Config(connect=f"library:{self.fake.path}"))

    def push(self, noise):
        words = np.frombuffer(noise[: len(noise) // 4 * 4], np.uint32)
        self.fake.library.sim_push(words.ctypes.data, len(words))


class TagNoise:
    def __init__(self):
        self.fake = swabian.FakeTimeTagger()
        self.fake.plug()
        self.driver = Swabian(Swabian.Config(connect="module:evapd_sim.sdk.swabian"))

    def push(self, noise):
        tags = np.frombuffer(
            noise[: len(noise) // 12 * 12], [("t", "<i8"), ("c", "i1"), ("k", "u1"), ("m", "<u2")]
        )
        columns = tags["t"].copy(), tags["c"].astype(np.int32), tags["k"] % 5, tags["m"].copy()
        for stream in self.fake._streams:
            stream.take_in(columns)


NOISY = {
    "xhptdc8": Xhptdc8Noise,
    "scTDC hits": lambda: ScNoise(SurfaceConceptHits, sctdc.DLD_EVENT, "sim_push_dld"),
    "scTDC words": lambda: ScNoise(SurfaceConceptWords, sctdc.TDC_EVENT, "sim_push_tdc"),
    "packets": PacketNoise,
    "tdc8hp": WordNoise,
    "swabian": TagNoise,
}


@pytest.mark.parametrize("name", NOISY)
def test_noise_from_a_library_never_breaks_the_order_of_blocks(name):
    noisy = NOISY[name]()
    noisy.driver.open()

    @QUICK
    @given(NOISE)
    def holds(noise):
        noisy.driver.arm()
        blocks = []
        try:
            for piece in noise:
                noisy.push(piece)
                blocks.append(noisy.driver.read_block(0.003))
            noisy.driver.disarm()
            while (block := noisy.driver.read_block(0.0)) is not None:
                blocks.append(block)
        except DeviceError:
            return
        blocks = [block for block in blocks if block is not None]
        for one, following in itertools.pairwise(blocks):
            assert following.first_pulse == one.last_pulse + 1
        for block in blocks:
            pulse = np.asarray(block.pulse, np.int64)
            pulse = pulse + block.first_pulse if hasattr(block, "tof_ps") else pulse
            assert np.all(np.diff(pulse) >= 0)
            assert np.all((pulse >= block.first_pulse) & (pulse <= block.last_pulse))
            assert hasattr(block, "tof_ps") or block.n == 0 or block.channel.max() <= 6

    try:
        holds()
    finally:
        noisy.driver.close()
