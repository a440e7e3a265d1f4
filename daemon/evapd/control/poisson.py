"""Taking a Gaussian belief in a log rate through over-dispersed Poisson counts, for many beliefs at once.

Counts n of a window have the mean m = pulses exp(l) + background and the variance phi m. The belief in l is Gaussian before and is made
Gaussian after by Laplace's method: the most probable l, the curvature there, and the evidence that the counts lend to the belief
(the quasi-likelihood of Wedderburn, Biometrika 61 (1974) 439, divided by phi).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LOWEST, _HIGHEST = -60.0, 5.0


@dataclass(frozen=True, slots=True)
class Window:
    """Counts of one window: hits seen, live pulses, counts expected without a specimen (above 0), and variance of counts over mean."""

    hits: float
    pulses: float
    background: float
    dispersion: float


def assimilate(log_rate: Array, variance: Array, window: Window) -> tuple[Array, Array, Array]:
    """Give new log rates, new variances and log evidences, all of the shape of `log_rate`.

    Args:
        log_rate: means of the beliefs, ln(hits per pulse).
        variance: their variances, above 0.
        window: what was counted.
    """
    hits, pulses, background, dispersion = window.hits, window.pulses, window.background, window.dispersion
    precision = 1.0 / variance
    # Begin where belief and counts meet: Newton's method then needs two steps only.
    signal = max(hits - background, 0.5)
    weight = signal * signal / (dispersion * max(hits, 0.5))
    at = (log_rate * precision + np.log(signal / pulses) * weight) / (precision + weight)
    if hits <= background:
        at = np.minimum(at, log_rate)
    information = precision
    for _ in range(3):
        at = np.minimum(np.maximum(at, _LOWEST), _HIGHEST)
        mean = pulses * np.exp(at)
        expected = mean + background
        score = (hits - expected) * mean / (dispersion * expected) - (at - log_rate) * precision
        information = precision + mean * mean / (dispersion * expected)
        at = at + np.minimum(np.maximum(score / information, -1.0), 1.0)
    at = np.minimum(np.maximum(at, _LOWEST), _HIGHEST)
    expected = pulses * np.exp(at) + background
    fit = (hits * np.log(expected) - expected) / dispersion
    evidence = fit - 0.5 * (at - log_rate) ** 2 * precision - 0.5 * np.log(information * variance)
    return at, 1.0 / information, evidence
