"""The readout thread against a TDC made of Python: a real object with the driver's methods, no hardware behind."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from evapd.acquire.readout import Readout
from evapd.blocks import Loss, TdcBlock
from evapd.device import Identity, TdcDescription
from evapd.errors import DeviceLost, DeviceTimeout
from support.blocks import words
from support.wait import wait_for


@dataclass
class Source:
    """Delivers what is put into it; raises errors that are put into it."""

    items: "queue.Queue[TdcBlock | Exception]" = field(default_factory=queue.Queue)
    refuse_open: int = 0
    opened: int = 0
    arms: int = 0
    exhausted: bool = False

    def open(self) -> Identity:
        self.opened += 1
        if self.opened <= self.refuse_open:
            raise DeviceTimeout("tcp:nowhere: no reply")
        return Identity(vendor="home", model="tdc")

    def close(self) -> None:
        pass

    def describe(self) -> TdcDescription:
        return TdcDescription(bin_ps=Fraction(25), channels=5, counter_bits=64)

    def arm(self) -> None:
        self.arms += 1

    def disarm(self) -> None:
        pass

    def read_block(self, timeout_s: float) -> TdcBlock | None:
        try:
            item = self.items.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def events() -> list[tuple[str, str, str]]:
    return []


@pytest.fixture
def readout(source: Source, events: list[tuple[str, str, str]]) -> Iterator[Readout]:
    made = Readout("tdc", source, lambda *event: events.append(event))  # type: ignore[arg-type]  # no read(), make_safe()
    yield made
    made.stop(5.0)


def test_blocks_come_out_in_order(readout: Readout, source: Source) -> None:
    readout.start()
    readout.arm()
    for first in (0, 10, 20):
        source.items.put(words(first, first + 9))
    taken = [readout.take(5.0) for _ in range(3)]
    assert [block.first_pulse for block in taken if block] == [0, 10, 20]


def test_a_missing_tdc_is_asked_again_until_it_answers(readout: Readout, source: Source) -> None:
    source.refuse_open = 2
    readout.start()
    wait_for(lambda: readout.online, "the TDC to be online")
    assert source.opened == 3


def test_a_tdc_that_comes_back_is_not_armed_into_the_same_run(
    readout: Readout, source: Source, events: list[tuple[str, str, str]]
) -> None:
    readout.start()
    readout.arm()
    wait_for(readout.armed.is_set, "arming")
    source.items.put(DeviceLost("tcp:tdc: closed by the other side"))
    wait_for(lambda: source.opened == 2 and readout.online, "reopening")
    assert source.arms == 1
    assert not readout.armed.is_set()
    assert any(severity == "alarm" for _, severity, _ in events)


def test_what_is_under_way_at_disarm_is_still_taken(readout: Readout, source: Source) -> None:
    readout.start()
    readout.arm()
    wait_for(readout.armed.is_set, "arming")
    for first in range(0, 50, 10):
        source.items.put(words(first, first + 9))
    readout.disarm()
    wait_for(lambda: not readout.armed.is_set(), "disarming")
    assert readout.blocks.qsize() == 5


def test_an_overflow_is_counted_flagged_and_alarmed(
    readout: Readout, source: Source, events: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evapd.acquire.readout.QUEUE_BLOCKS", 2)
    readout.start()
    readout.arm()
    for first in range(0, 40, 10):
        source.items.put(words(first, first + 9))
    wait_for(lambda: readout.overflows == 2, "two blocks to be dropped")
    readout.take(1.0)
    source.items.put(words(40, 49))
    wait_for(lambda: readout.blocks.qsize() == 2, "the next block")
    blocks = [readout.take(1.0) for _ in range(2)]
    assert blocks[1] is not None
    assert blocks[1].loss == Loss.OVERFLOW | Loss.WORDS_LOST
    assert [kind for kind, severity, _ in events if severity == "alarm"] == ["loss"]


def test_a_fault_in_the_driver_is_told_and_does_not_end_the_readout(
    readout: Readout, source: Source, events: list[tuple[str, str, str]]
) -> None:
    readout.start()
    readout.arm()
    wait_for(readout.armed.is_set, "arming")
    source.items.put(ValueError("operands could not be broadcast"))
    wait_for(lambda: source.opened == 2 and readout.online, "the TDC opened again")
    assert ("device", "alarm") in {event[:2] for event in events}
    assert any("fault in the driver, report it" in what for _, _, what in events)
