"""Control the share of false findings where many tests are made at once."""

from __future__ import annotations

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers


def benjamini_hochberg(p: Floats, rate: float, tests: Integers | int | None = None) -> Flags:
    """Return which tests to reject so that at most ``rate`` of the rejections are false (Benjamini and Hochberg 1995).

    Args:
        p: p-values; the last axis is one family of tests, shape (..., m).
        rate: The false discovery rate.
        tests: How many of the family's m places are tests; the others have a p of 1. By default m.

    Returns:
        The rejected tests, in the shape of ``p``.
    """
    size = p.shape[-1]
    if not size:
        return np.zeros(p.shape, np.bool_)
    order = np.argsort(p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    rank = np.arange(1, size + 1)
    family = size if tests is None else np.maximum(tests, 1)
    below = ranked <= rate * np.minimum(rank / family, 1.0)  # places that are not tests must not raise the threshold
    largest = np.where(below.any(axis=-1), size - np.argmax(below[..., ::-1], axis=-1), 0)
    rejected = np.zeros(p.shape, np.bool_)
    np.put_along_axis(rejected, order, rank <= largest[..., None], axis=-1)
    return rejected


def adjusted(p: Floats) -> Floats:
    """Return each p-value adjusted for the number of tests: the smallest false discovery rate that rejects it.

    This is p · m / rank, but never more than that of a larger p (Benjamini and Hochberg 1995).

    Args:
        p: p-values of one family of tests, shape (m,).
    """
    order = np.argsort(p, kind="stable")
    ratio = p[order] * len(p) / np.arange(1, len(p) + 1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1.0)
    return result


def can_be_rejected(min_p: Floats, rate: float) -> Flags:
    """Return which discrete tests could be rejected at all; only these count in the correction for many tests.

    A test whose smallest possible p is too large cannot give a false finding (Tarone 1990; for the false discovery
    rate Gilbert 2005). With k the smallest number such that at most k tests can reach rate / k, these tests are kept.

    Args:
        min_p: The smallest p that each test could give, known before its outcome is looked at, shape (m,).
        rate: The false discovery rate that is going to be used.
    """
    ascending = np.sort(min_p)
    tests = np.arange(1, len(min_p) + 1)
    reaching = np.searchsorted(ascending, rate / tests, side="right")
    enough = reaching <= tests
    return min_p <= rate / tests[np.argmax(enough)] if enough.any() else np.zeros(len(min_p), np.bool_)
