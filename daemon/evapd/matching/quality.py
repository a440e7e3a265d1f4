"""Quality codes of hits: what was missing or assumed. The table is stable; codes are only added.

| code | name | signals used | what checks the hit |
| --- | --- | --- | --- |
| 0 | full | MCP, x1, x2, y1, y2 | both time sums, with their common MCP jitter |
| 1 | MCP missing | x1, x2, y1, y2 | the two layers agree on the time; it is their mean |
| 2 | x1 missing | MCP, x2, y1, y2 | the time sum of y; x from x2 and the time sum |
| 3 | x2 missing | MCP, x1, y1, y2 | the time sum of y; x from x1 and the time sum |
| 4 | y1 missing | MCP, x1, x2, y2 | the time sum of x; y from y2 and the time sum |
| 5 | y2 missing | MCP, x1, x2, y1 | the time sum of x; y from y1 and the time sum |

Every hit has at least one signal more than its three unknowns (time, x, y), so each was checked by something.
"""

from enum import IntEnum


class Quality(IntEnum):
    """Code in the column `quality` of a HitBlock."""

    FULL = 0
    MCP_MISSING = 1
    X1_MISSING = 2
    X2_MISSING = 3
    Y1_MISSING = 4
    Y2_MISSING = 5

    @property
    def meaning(self) -> str:
        """Words for tables and plots."""
        return _MEANING[self]


_MEANING = {
    Quality.FULL: "all signals seen and consistent",
    Quality.MCP_MISSING: "MCP signal missing, time from the two layers",
    Quality.X1_MISSING: "x1 missing, x from x2 and the time sum",
    Quality.X2_MISSING: "x2 missing, x from x1 and the time sum",
    Quality.Y1_MISSING: "y1 missing, y from y2 and the time sum",
    Quality.Y2_MISSING: "y2 missing, y from y1 and the time sum",
}
