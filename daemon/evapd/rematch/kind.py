"""Whether recorded words are of the kind of anode that is to match them."""

import numpy as np

from evapd.errors import ConfigError
from evapd.matching import Anode
from evapd.record.words import Piece, Reading

_ENOUGH = 10_000  # words on the delay lines, of which the channels are clear
_FEWEST = 1_000  # with which a source that has no more is judged
_LINES = slice(1, 5)  # channels that both kinds have, without the MCP, which may be noise
_THIRD = slice(5, 7)  # channels of a hex anode's third layer
# Ends of lines get about the same number of words; noise and damage do not come near this part of it.
_FAIR = 0.2
_STRAY = 0.005  # of the words may be damaged so that they seem to be of a layer that is not there
_CHUNK = 1 << 16


class KindCheck:
    """Counts words by channel until there are enough to tell the kind of anode, and refuses the wrong one."""

    def __init__(self, anode: Anode, what: object) -> None:
        self._kind, self._what = anode.kind, what
        self._by_channel = np.zeros(256, np.int64)
        self.wanted = True  # more words

    def look(self, piece: Piece) -> None:
        """Count the words of a piece.

        Raises:
            ConfigError: when they are of the other kind of anode.
            RecordError: when they cannot be read.
        """
        for block in piece.blocks(Reading()):  # what is wrong with them is counted when they are matched
            for a in range(0, block.n, _CHUNK):
                self._by_channel += np.bincount(block.channel[a : a + _CHUNK], minlength=256)
                if self._by_channel[_LINES].sum() >= _ENOUGH:
                    self.wanted = False
                    self.judge()
                    return

    def judge(self) -> None:
        """Compare the words seen so far with the anode; few words are of any kind.

        Raises:
            ConfigError: when they are of the other kind of anode.
        """
        lines, third = self._by_channel[_LINES], self._by_channel[_THIRD]
        words = int(lines.sum())
        if words < _FEWEST:
            return
        if self._kind == "quad" and float(third.min()) >= _FAIR * float(np.median(lines)):
            raise ConfigError(
                f"{self._what}: channels 5 and 6 have {third[0]:,} and {third[1]:,} words beside {words:,} on channels "
                "1 to 4: these are signals of a hex anode, the anode file says quad. Name the anode file of the "
                "detector that recorded them with --anode"
            )
        if self._kind == "hex" and third.sum() <= _STRAY * words:
            raise ConfigError(
                f"{self._what}: channels 5 and 6 have {third.sum() or 'no'} words beside {words:,} on channels 1 to 4: these are signals of "
                "a quad anode, the anode file says hex. Name the anode file of the detector that recorded them with "
                "--anode (a hex anode whose third layer is dead is a quad anode, with the angles of the other two)"
            )
