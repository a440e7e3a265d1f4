"""Words of one kind of anode are not matched with the other kind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evapd.blocks import TdcBlock
from evapd.errors import ConfigError
from evapd.matching import Anode
from evapd.rematch import RematchResult, rematch
from support.anodes import hexanode, quad
from support.recorded_words import frames_of, record_words, save_words
from support.signals import SignalModel, part_of, simulate

QUAD = simulate(SignalModel(detection=0.3), 2000, 7).block
HEX = simulate(SignalModel(detection=0.3, kind="hex"), 2000, 7).block


def again(folder: Path, block: TdcBlock, anode: Anode, **options: int) -> RematchResult:
    words = save_words(folder / "w.npz", block)
    return rematch(words, anode, folder / "h.npz", **({"workers": 1, "unit_words": 500} | options))


def hurt(block: TdcBlock, channel: int) -> TdcBlock:
    """Every word of a thousand is of another channel."""
    channels = block.channel.copy()
    channels[::1001] = channel
    return replace(block, channel=channels)


@pytest.mark.parametrize(
    ("block", "anode", "said"), [(HEX, quad(), "of a hex anode"), (QUAD, hexanode(), "of a quad anode")]
)
@pytest.mark.parametrize("unit_words", [100, 2**16])
def test_words_of_the_other_kind_of_anode_are_refused_and_nothing_is_written(
    tmp_path: Path, block: TdcBlock, anode: Anode, said: str, unit_words: int
) -> None:
    with pytest.raises(ConfigError, match=rf"w\.npz: channels 5 and 6 have .*{said}.*--anode"):
        again(tmp_path, block, anode, unit_words=unit_words)
    assert [found.name for found in tmp_path.iterdir()] == ["w.npz"]


def test_a_run_is_not_matched_with_the_other_kind_of_anode(tmp_path: Path) -> None:
    store, _ = record_words(tmp_path, frames_of(QUAD, 10))
    with pytest.raises(ConfigError, match="signals of a quad anode"):
        rematch(store.folder, hexanode(), tmp_path / "h.npz", workers=1)


@pytest.mark.parametrize("channel", [5, 6, 255])
def test_some_words_of_impossible_channels_are_damage_and_no_other_anode(
    tmp_path: Path, channel: int
) -> None:
    assert again(tmp_path, hurt(QUAD, channel), quad()).counters.damaged > 0


def test_some_damaged_words_do_not_make_a_hex_anode_of_a_quad(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="signals of a quad anode"):
        again(tmp_path, hurt(QUAD, 6), hexanode())


def test_a_hex_anode_that_gives_little_on_one_layer_is_one(tmp_path: Path) -> None:
    weak = np.ones(HEX.n, bool)
    weak[np.flatnonzero(HEX.channel >= 5)[:-100]] = False
    some = replace(HEX, pulse=HEX.pulse[weak], channel=HEX.channel[weak], time=HEX.time[weak])
    assert again(tmp_path, some, hexanode()).hits > 0


@pytest.mark.parametrize("anode", [quad(), hexanode()])
@pytest.mark.parametrize("block", [QUAD, HEX])
def test_too_few_words_are_of_any_kind(tmp_path: Path, block: TdcBlock, anode: Anode) -> None:
    assert again(tmp_path, part_of(block, 0, 500, 0, block.last_pulse), anode).counters.words == 500
