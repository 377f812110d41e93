"""How sure a measured share is: the lower bound of its confidence interval."""

from __future__ import annotations

import math
from typing import Final

Z95: Final = 1.96


def wilson_lower(successes: float, trials: float, z: float = Z95) -> float:
    """Return the lower bound of the Wilson score interval of a share (Wilson 1927); 0 without trials.

    Args:
        successes: How many trials succeeded.
        trials: How many there were.
        z: The interval's half width in standard deviations; by default that of a two-sided 95 % interval.

    >>> round(wilson_lower(3, 3), 2), round(wilson_lower(100, 100), 2)
    (0.44, 0.96)
    """
    if trials <= 0:
        return 0.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + (z / trials) ** 2 / 4)
    return max(0.0, (share + z * z / (2 * trials) - spread) / (1 + z * z / trials))
