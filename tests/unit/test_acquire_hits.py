"""A detector that matches in hardware: its hits go into the record and the stream as they are."""

import queue

from evapd.acquire.counts import Counter
from evapd.acquire.pipeline import HARDWARE, Pipeline
from evapd.acquire.readout import Readout
from evapd.blocks import HitBlock, Loss
from evapd.config.model import Instrument
from evapd.device import HitSource, Identity, TdcDescription
from evapd.stream.frame import Framer, decode
from support.blocks import hits, words
from support.wait import wait_for


class Sink:
    def __init__(self):
        self.frames = []

    def emit(self, frame):
        self.frames.append(frame)


class Queue:
    """A readout that has its blocks already."""

    def __init__(self, blocks):
        self.blocks = blocks

    def take(self, timeout_s):
        return self.blocks.pop(0) if self.blocks else None


def run(blocks):
    sink, counter = Sink(), Counter(Instrument(flight_path_mm=110))
    framer = Framer("test", lambda: 0, lambda: 0)
    pipeline = Pipeline(Queue(blocks), None, counter, framer, sink, words=True)
    pipeline.start()
    assert pipeline.drain(10.0)
    return [decode(*map(bytes, frame.parts())) for frame in sink.frames], counter, pipeline


def own(first, last, rows=None, loss=Loss.NONE):
    block = hits(first, last, rows, loss)
    return HitBlock(**{name: getattr(block, name) for name in block.__slots__} | {"calibration": ""})


def test_hits_of_the_hardware_are_counted_and_framed_unmatched():
    messages, counter, _ = run([own(k, k + 9, [(3, 500_000)]) for k in range(0, 100, 10)])
    blocks = [message.hit_block() for message in messages]
    assert {message.topic for message in messages} == {"hits."}
    assert [int(p) + b.first_pulse for b in blocks for p in b.pulse] == list(range(3, 100, 10))
    assert {block.calibration for block in blocks} == {HARDWARE}
    assert (counter.now.pulses, counter.now.hits, counter.now.hits_window) == (100, 10, 10)


def test_loss_of_the_hardware_reaches_counts_and_frames():
    messages, counter, _ = run([own(0, 9), own(10, 19, loss=Loss.WORDS_LOST), own(20, 29)])
    assert counter.now.lost_blocks == 1
    assert messages[0].hit_block().loss is Loss.WORDS_LOST


def test_words_from_a_source_of_hits_end_the_run():
    _, _, pipeline = run([words(0, 9)])
    assert "delivered words" in str(pipeline.error)


class Detector:
    """A source of hits made of Python."""

    protocol = HitSource

    def __init__(self):
        self.items = queue.Queue()

    def open(self):
        return Identity(vendor="home", model="detector")

    def close(self):
        pass

    def describe(self):
        return TdcDescription(bin_ps=25, channels=1, counter_bits=64)

    def arm(self):
        pass

    def disarm(self):
        pass

    def read_block(self, timeout_s):
        try:
            return self.items.get(timeout=timeout_s)
        except queue.Empty:
            return None


def test_the_readout_knows_what_its_source_delivers():
    detector = Detector()
    readout = Readout("detector", detector, lambda *event: None)
    try:
        assert readout.delivers_hits
        readout.start()
        readout.arm()
        detector.items.put(own(0, 9, [(1, 5)]))
        wait_for(lambda: readout.blocks_taken, "a block")
        assert readout.take(5.0).n == 1
    finally:
        readout.stop(5.0)
