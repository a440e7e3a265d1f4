"""Gates on chi2: where a given share of true hits lies beyond, for any number of degrees of freedom."""

import math


def chi2_tail(chi2: float, freedom: int) -> float:
    """Share of a chi-squared distribution with `freedom` >= 1 degrees of freedom beyond `chi2`."""
    half = chi2 / 2.0
    if freedom % 2 == 0:
        term = share = math.exp(-half)
        steps = range(1, freedom // 2)
        for k in steps:
            term *= half / k
            share += term
        return share
    share = math.erfc(math.sqrt(half))
    term = math.sqrt(4.0 * half / math.pi) * math.exp(-half)
    for k in range(1, (freedom + 1) // 2):
        share += term
        term *= chi2 / (2 * k + 1)
    return share


def chi2_gate(tail: float, freedom: int) -> float:
    """The chi2 beyond which a share `tail` lies; by bisection, to a relative 1e-12."""
    low, high = 0.0, 4.0 * (freedom + 1) - 4.0 * math.log(tail)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if chi2_tail(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return high
