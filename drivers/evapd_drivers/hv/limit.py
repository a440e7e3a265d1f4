"""Which current limit a supply is switched on with: the same for all that can be asked for theirs."""

_ROUNDED = 1.002  # steps and digits of a supply's own limit


def limit_due(found_a: float, i_max_a: float) -> float | None:
    """Give the limit in A to program before switching on; None where the one that stands is above 0 and within `i_max_a`.

    After power-on many supplies allow no current at all, or all that they have; a limit that a person has lowered stays.
    """
    return None if 0.0 < abs(found_a) <= i_max_a * _ROUNDED else i_max_a
