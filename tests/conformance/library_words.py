"""Words of a simulated detector through a vendor's library: what the tests of these drivers share."""

import functools
import time

import numpy as np

from evapd.blocks import join_hits, join_words
from evapd_sim.anode import AnodeFile
from evapd_sim.events import Events
from evapd_sim.stream import Electronics, simulate
from support.anodes import quad

PERIOD_PS = 5_000_000  # 200 kHz
PULSES = 20_000
PATIENCE_S = 30.0


@functools.cache
def streamed(bin_ps=1):
    """Words of a quad detector, 5 % of the pulses with ions."""
    layers = quad().model_dump(mode="json")
    anode = AnodeFile.model_validate({key: layers[key] for key in AnodeFile.model_fields if key in layers})
    words, _ = simulate(anode, Events(), Electronics(bin_ps=bin_ps), pulses=PULSES, seed=1)
    return words


def block_until(driver, enough):
    """Read blocks until one is `enough`, give it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < deadline_s, "no such block"
        block = driver.read_block(0.05)
        if block is not None and enough(block):
            return block


def rest_of(driver):
    """Disarm, give everything that comes as one block."""
    driver.disarm()
    blocks = []
    while (block := driver.read_block(0.0)) is not None:
        blocks.append(block)
    return joined(blocks)


def joined(blocks):
    """Blocks of words or of hits as one."""
    return (join_words if hasattr(blocks[0], "bin_ps") else join_hits)(blocks)


def measured(driver, deliver, words, pulses=PULSES, steps=20):
    """Deliver words to an armed driver in steps, disarm, give all that it read as one block."""
    blocks, step = [], pulses // steps
    for first in range(0, pulses, step):
        a, b = np.searchsorted(words.pulse, [first, first + step])
        assert deliver(words.pulse[a:b] - first, words.channel[a:b], words.time[a:b], pulses=step)
        while (block := driver.read_block(0.0)) is not None and block.n:
            blocks.append(block)
    return joined([*blocks, rest_of(driver)])


def same_words(block, words):
    """Whether a block has exactly these words, and covers their pulses from 0 on."""
    order = np.lexsort((block.channel, block.time, block.pulse))
    due = np.lexsort((words.channel, words.time, words.pulse))
    return block.first_pulse == 0 and all(
        np.array_equal(getattr(block, name)[order], getattr(words, name)[due])
        for name in ("pulse", "channel", "time")
    )
