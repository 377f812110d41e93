"""Sets of instants as disjoint, ascending, half-open spans: arrays of shape (n, 2), microseconds since 1970."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Spans = NDArray[np.int64]


def union(spans: Spans) -> Spans:
    """Return the instants in any of some spans, which may overlap and come in any order."""
    spans = spans[spans[:, 0] < spans[:, 1]]
    if not len(spans):
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    first = np.append(True, spans[1:, 0] > reach[:-1])
    last = np.append(first[1:], True)
    return np.column_stack((spans[first, 0], reach[last]))


def intersection(one: Spans, other: Spans) -> Spans:
    """Return the instants in both of two unions."""
    edges = np.unique(np.concatenate((one.ravel(), other.ravel())))
    if len(edges) < 2:  # noqa: PLR2004 - a span needs two edges
        return np.empty((0, 2), np.int64)
    starts = edges[:-1]
    both = _holds(one, starts) & _holds(other, starts)
    return union(np.column_stack((starts[both], edges[1:][both])))


def _holds(spans: Spans, instants: NDArray[np.int64]) -> NDArray[np.bool_]:
    before = np.searchsorted(spans[:, 0], instants, side="right") - 1
    inside = np.append(spans[:, 1], np.iinfo(np.int64).min)[before] > instants
    return (before >= 0) & inside


def length(spans: Spans) -> int:
    """Return the total length of disjoint spans in microseconds."""
    return int((spans[:, 1] - spans[:, 0]).sum())
