"""Build points of groups from lists of seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.activity.window import SECOND
from jobs.statistics.matching import Points


def points(*seconds: Sequence[int]) -> Points:
    """Return points of as many groups as there are lists."""
    at = np.concatenate([np.array(column, np.int64) for column in seconds]) * SECOND
    group = np.repeat(np.arange(len(seconds)), [len(column) for column in seconds])
    order = np.argsort(at, kind="stable")
    return Points(at[order], group[order], len(seconds))
