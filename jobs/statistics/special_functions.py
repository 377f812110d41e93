"""Special functions that the tails are computed with: log Γ and the incomplete gamma and beta functions.

scipy has them too, but loading it takes longer than computing a day; the tests compare with it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from jobs.statistics.arrays import Floats

_STIRLING: Final = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360_360)
_STIRLING_FROM: Final = 10  # from here on six terms of the series are exact to a double
_MAX_ITERATIONS: Final = 1000
_CONVERGED: Final = 1e-14  # a relative change that no longer matters
_TINY: Final = 1e-300


def log_gamma(x: Floats) -> Floats:
    """Return log Γ(x) for x > 0, by Stirling's series (Abramowitz and Stegun 6.1.41), which is exact from 10 on."""
    shift = np.zeros_like(x)
    low = x < _STIRLING_FROM
    if low.any():
        small = x[low]
        steps = np.ceil(_STIRLING_FROM - small)
        product = np.ones_like(small)
        for step in range(_STIRLING_FROM):
            product *= np.where(step < steps, small + step, 1.0)
        shift[low] = np.log(product)
        x = x.copy()
        x[low] = small + steps
    inverse = 1 / (x * x)
    series = np.zeros_like(x)
    for term in reversed(_STIRLING):
        series = series * inverse + term
    return (x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi) + series / x - shift


def incomplete_gamma(a: Floats, x: Floats) -> Floats:
    """Return P(a, x) for a > 0: by its series if x < a + 1, else by a continued fraction (Numerical Recipes 6.2)."""
    with np.errstate(divide="ignore"):
        front = np.exp(a * np.log(x) - x - log_gamma(a))
    low = x < a + 1
    result = np.empty_like(a)
    result[low] = front[low] * _gamma_series(a[low], x[low])
    result[~low] = 1 - front[~low] * _gamma_fraction(a[~low], x[~low])
    return np.clip(result, 0.0, 1.0)


def incomplete_beta(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return I_x(a, b) by Lentz's continued fraction (Numerical Recipes 6.4), on the side where it converges fast."""
    swap = x > (a + 1) / (a + b + 2)
    a, b, x = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    with np.errstate(divide="ignore"):
        log_front = a * np.log(x) + b * np.log1p(-x)
    log_front -= log_gamma(a) + log_gamma(b) - log_gamma(a + b)
    c = np.ones_like(a)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1), _TINY)
    fraction = d.copy()
    for m in range(1, _MAX_ITERATIONS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + step * d, _TINY)
            c = _away_from_zero(1 + step / c, _TINY)
            fraction *= d * c
        if np.all(np.abs(d * c - 1) < _CONVERGED):
            break
    value = np.exp(log_front) * fraction / a
    return np.clip(np.where(swap, 1 - value, value), 0.0, 1.0)


def _gamma_series(a: Floats, x: Floats) -> Floats:
    term = 1 / a
    total = term.copy()
    for n in range(1, _MAX_ITERATIONS):
        term = term * x / (a + n)
        total += term
        if np.all(term <= _CONVERGED * total):
            break
    return total


def _gamma_fraction(a: Floats, x: Floats) -> Floats:
    b = x + 1 - a
    c = np.full_like(a, 1 / _TINY)
    d = 1 / _away_from_zero(b, _TINY)
    fraction = d.copy()
    for n in range(1, _MAX_ITERATIONS):
        b = b + 2
        d = 1 / _away_from_zero(n * (a - n) * d + b, _TINY)
        c = _away_from_zero(b + n * (a - n) / c, _TINY)
        fraction *= d * c
        if np.all(np.abs(d * c - 1) < _CONVERGED):
            break
    return fraction


def _away_from_zero(value: Floats, tiny: float) -> Floats:
    return np.where(np.abs(value) < tiny, tiny, value)
