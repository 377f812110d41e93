"""Whether two samples differ in level, without an assumption about how their values are spread."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from jobs.statistics.arrays import Floats


def rank_sum_p(strata: Iterable[tuple[Floats, Floats]]) -> float:
    """Return the two-sided p of the rank-sum test that two samples have one level, within each of some strata.

    Strata are compared each for itself, such as weekdays with weekdays and weekends with weekends, and weighed by
    1 / (n + m + 1) (van Elteren 1960); with a single one this is the test of Wilcoxon (1945) and of Mann and Whitney
    (1947). By the normal approximation with continuity and ties corrected, good from about 7 values on each side.

    Args:
        strata: For each stratum both samples, shapes (n,) and (m,); one without values on a side does not count.
    """
    distance = variance = step = 0.0
    for first, second in strata:
        n, m = len(first), len(second)
        if not n or not m:
            continue
        total = n + m
        _, inverse, counts = np.unique(np.concatenate([first, second]), return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # equal values share the mean of their ranks
        u = float(ranks[:n].sum()) - n * (n + 1) / 2
        ties = float((counts**3 - counts).sum()) / (total * (total - 1))
        distance += (u - n * m / 2) / (total + 1)
        variance += n * m / 12 * (total + 1 - ties) / (total + 1) ** 2
        step = max(step, 1 / 2 / (total + 1))
    if variance <= 0:
        return 1.0
    return math.erfc(max(0.0, abs(distance) - step) / math.sqrt(2 * variance))
