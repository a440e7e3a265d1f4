"""Modal regression: parameters for which the most residuals lie close to zero.

Every hit near a known peak has a residual r = ln(m/q) - ln(known). Tails of energy deficits, late ions and background
make its mean useless; its mode is what a peak's place means. Maximised is the sum of exp(-r^2 / 2 h^2) by iterated
least squares with these weights (modal expectation-maximisation: Li, Ray, Lindsay, J. Mach. Learn. Res. 8 (2007) 1687;
Yao, Li, Scand. J. Stat. 41 (2014) 656).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ITERATIONS = 40
_SETTLED = 1e-3  # of the standard errors


@dataclass(frozen=True, slots=True)
class Fit:
    """Values, and their standard errors as the scatter of the residuals gives them."""

    value: Floats
    error: Floats


def fit(design: Floats, residual: Floats, width: Floats, ridge: Floats | None = None) -> Fit:
    """Find b so that residual - design @ b has its mode at zero.

    Args:
        design: derivatives of the residuals, shape (n, k).
        residual: of each hit, shape (n,).
        width: h of each hit, shape (n,).
        ridge: a positive semi-definite matrix that holds what the data do not, shape (k, k).

    Raises:
        numpy.linalg.LinAlgError: when the parameters cannot be told apart.
    """
    k = design.shape[1]
    value = np.zeros(k)
    hold = np.zeros((k, k)) if ridge is None else ridge
    inverse_square = 1.0 / width**2
    error = np.full(k, np.inf)
    for _ in range(_ITERATIONS):
        rest = residual - design @ value
        weight = np.exp(-0.5 * rest**2 * inverse_square) * inverse_square
        weighted = design * weight[:, None]
        normal = weighted.T @ design + hold
        step = np.linalg.solve(normal, weighted.T @ rest - hold @ value)
        value = value + step
        inverse = np.linalg.inv(normal)
        meat = (weighted * (rest**2)[:, None] * weight[:, None]).T @ design
        error = np.sqrt(np.maximum(np.diag(inverse @ meat @ inverse), 0.0))
        if np.all(np.abs(step) <= _SETTLED * error + 1e-12):
            break
    return Fit(value, error)
