"""How surprising an anomaly is, as a score and in four levels."""

from __future__ import annotations

import math
from typing import Final

from storage.models import Severity

_MAX_SCORE_DIGITS: Final = 12
_SEVERITIES: Final = ((1e-9, Severity.CRITICAL), (1e-6, Severity.HIGH), (1e-4, Severity.MEDIUM), (1.0, Severity.LOW))


def score_of(p: float) -> float:
    """Return ``anomaly_score`` by the adjusted p: min(1, -log10(p) / 12)."""
    return min(1.0, -math.log10(max(p, 10.0**-_MAX_SCORE_DIGITS)) / _MAX_SCORE_DIGITS)


def severity_of(p: float) -> Severity:
    """Return the severity by the adjusted p; see ``Severity``."""
    return next(severity for limit, severity in _SEVERITIES if p < limit)
