"""Control the share of false findings where many tests are made at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers

_MAX_NEW: Final = 2**20  # values that wait to be counted


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


class TestCount:
    """Counts the discrete tests that could be rejected at all, as ``can_be_rejected`` does, without keeping them.

    Args:
        rate: The false discovery rate that is going to be used.
        max_tests: The most tests that there may be.

    Attributes:
        certain: How many tests can surely be rejected: their smallest possible p is at most ``max_certain_p``.
        max_certain_p: A smallest possible p that is low enough whatever the other tests are.
    """

    __test__ = False  # not a class of tests, whatever its name looks like to pytest

    def __init__(self, rate: float, max_tests: int) -> None:
        self._rate = rate
        self._values: Floats = np.empty(0)
        self._counts: Integers = np.empty(0, np.int64)
        self._new: list[Floats] = []
        self._new_count = 0
        self.certain = 0
        self.max_certain_p = rate / max(max_tests, 1)

    def add(self, certain: int, min_p: Floats) -> None:
        """Add tests.

        Args:
            certain: How many can surely be rejected.
            min_p: The smallest p that each other test could give, shape (m,).
        """
        self.certain += certain
        self._new.append(min_p[min_p <= self._rate])
        self._new_count += len(self._new[-1])
        if self._new_count > _MAX_NEW:
            self._merge()

    def result(self) -> tuple[int, float]:
        """Return how many tests could be rejected at all, and the largest of their smallest possible p."""
        self._merge()
        until = np.concatenate(([0], np.cumsum(self._counts)))
        low, high = 0, self.certain + int(until[-1])  # at least one too few; surely enough
        if not high:
            return 0, 0.0
        while high - low > 1:
            middle = (low + high) // 2
            reaching = self.certain + int(until[np.searchsorted(self._values, self._rate / middle, side="right")])
            low, high = (low, middle) if reaching <= middle else (middle, high)
        limit = self._rate / high
        return self.certain + int(until[np.searchsorted(self._values, limit, side="right")]), limit

    def _merge(self) -> None:
        """Keep each value once, with its count: counts of trials are small, so most tests share theirs."""
        values = np.concatenate((self._values, *self._new))
        weights = np.concatenate((self._counts, np.ones(self._new_count, np.int64)))
        self._values, place = np.unique(values, return_inverse=True)
        self._counts = np.bincount(place, weights, minlength=len(self._values)).astype(np.int64)
        self._new, self._new_count = [], 0
