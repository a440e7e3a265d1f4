"""Recorded words matched again, with another anode or calibration."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evapd.rematch.job import RematchResult, rematch

__all__ = ["RematchResult", "rematch"]


def __getattr__(name: str) -> Any:
    # A worker process imports this package too, and needs nothing of what writes files.
    if name in __all__:
        from evapd.rematch import job  # noqa: PLC0415 - late on purpose, see above

        return getattr(job, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
