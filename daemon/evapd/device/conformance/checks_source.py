"""Checks of sources of words or hits, and of stages: arming, heartbeats, disarming; the search for a reference mark."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from evapd.blocks import Loss
from evapd.device.conformance.bench import Bench, eventually, must, outcome
from evapd.device.conformance.cable import Fault
from evapd.device.conformance.check import check
from evapd.device.conformance.roles import SOURCES
from evapd.device.protocols import Stage, TdcSource
from evapd.errors import DeviceError

_BLOCKS = 20
_WAIT_S = 5.0  # for one block; a heartbeat is due every 5 ms, a busy machine may be late
_GLANCE_S = 0.5  # for an error, which is asked for again and again


@check(protocols=SOURCES)
def describe_tells_bins_and_channels(bench: Bench) -> None:
    """`describe` gives bin width, channels and counter width, and blocks have that bin width."""
    driver = bench.opened()
    told = driver.describe()
    must(told.bin_ps > 0 and told.channels > 0 and told.counter_bits > 0, f"{told!r} is no description")
    driver.arm()
    if bench.kind.driver.protocol is TdcSource:
        must(next(_blocks(driver)).bin_ps == told.bin_ps, "a block has another bin width than described")


@check(safety=True, protocols=SOURCES)
def arming_begins_at_pulse_zero(bench: Bench) -> None:
    """After `arm` blocks begin at pulse 0 and follow each other without a gap, ordered; the same after arming anew."""
    driver = bench.opened()
    for _ in range(2):
        driver.arm()
        due = 0
        for block in _blocks(driver):
            must(
                block.first_pulse == due and block.loss is Loss.NONE,
                f"a block from pulse {block.first_pulse}, loss {block.loss!r}, where pulse {due} is due without loss",
            )
            due = block.last_pulse + 1
            pulse = np.asarray(block.pulse)
            must(bool(np.all(pulse[1:] >= pulse[:-1])), "pulse numbers of a block are not ascending")


@check(safety=True, protocols=SOURCES)
def heartbeats_come_without_words(bench: Bench) -> None:
    """While armed blocks come all the time, words or none."""
    driver = bench.opened()
    driver.arm()
    must(len(list(_blocks(driver))) == _BLOCKS, "no blocks: a heartbeat is due at least every 5 ms")


@check(safety=True, protocols=SOURCES)
def disarming_ends_the_blocks(bench: Bench) -> None:
    """After `disarm` what was under way may come, then None; before `arm` there is None; nothing blocks."""
    driver = bench.opened()
    result = outcome(lambda: driver.read_block(0.01), "read_block before arm")
    must(result is None or isinstance(result, DeviceError), f"read_block before arm gave {result!r}")
    driver.arm()
    next(_blocks(driver))
    driver.disarm()
    eventually(lambda: driver.read_block(0.01) is None, "None from read_block after disarm")


@check(safety=True, protocols=SOURCES, over_bytes=True)
def lost_boundaries_end_the_link(bench: Bench) -> None:
    """Noise while armed is an error and never a block, and the driver can be opened and armed again."""
    for fault in (Fault.GARBAGE, Fault.FLIPPED, Fault.CUT):
        driver = bench.opened()
        driver.arm()
        bench.cable.fault = fault

        def ended(driver: Any = driver) -> bool:
            return isinstance(outcome(lambda: driver.read_block(_GLANCE_S), "read_block"), DeviceError)

        eventually(ended, f"an error from read_block with a {fault.name} cable")
        bench.reopened(driver)
        driver.arm()
        next(_blocks(driver))
        driver.close()


@check(protocols=(Stage,))
def a_reference_is_told(bench: Bench) -> None:
    """`reference` searches the mark of an axis, and readings say when it is found."""
    driver = bench.opened()
    for axis in driver.read().axes:
        driver.reference(axis)
        eventually(partial(_referenced, driver, axis), f"axis {axis} to be referenced")


def _referenced(driver: Any, axis: str) -> bool:
    return bool(driver.read().axes[axis].referenced)


def _blocks(driver: Any) -> Iterator[Any]:
    """Give some blocks of an armed source."""
    for _ in range(_BLOCKS):
        block = driver.read_block(_WAIT_S)
        must(block is not None, f"no block within {_WAIT_S:g} s though armed: a heartbeat is due every 5 ms")
        yield block
