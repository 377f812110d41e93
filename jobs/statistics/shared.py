"""What detectors share: tails, bounds, false discovery rate, bouts, and the rule by which hours are peaks.

Everything is vectorised numpy; The tests compare the tails with scipy's.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import Flags, Spans
from jobs.activity.window import MINUTE, SECOND, DayWindow, Instants
from storage.models import HOURS

HOUR_COLUMNS: Final = ("hour", "events", "expected", "p", "")
Z95: Final = 1.96
SLOT: Final = 5 * MINUTE
BOUT_GAP: Final = 300 * SECOND
CLUSTER_GAP: Final = 120 * SECOND
PEAK_SLOTS: Final = 3  # fewer occupied slots are no habit, however rare the entity

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Numbers = Floats | Integers

_STIRLING: Final = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360_360)
_STIRLING_FROM: Final = 10  # from here on six terms of the series are exact to a double
_ITERATIONS: Final = 1000
_EXACT: Final = 1e-14  # a relative change that no longer matters
_TINY: Final = 1e-300


def wilson_lower(successes: float, trials: float, z: float = Z95) -> float:
    """Lower bound of the Wilson score interval of a share (Wilson 1927), two-sided 95 % by default; 0 without trials.

    >>> round(wilson_lower(3, 3), 2), round(wilson_lower(100, 100), 2)
    (0.44, 0.96)
    """
    if trials <= 0:
        return 0.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + (z / trials) ** 2 / 4)
    return max(0.0, (share + z * z / (2 * trials) - spread) / (1 + z * z / trials))


def benjamini_hochberg(p: Floats, rate: float, tests: Integers | int | None = None) -> Flags:
    """Which tests to reject so that at most ``rate`` of the rejections are false (Benjamini and Hochberg 1995).

    Args:
        p: p-values; the last axis is one family of tests, shape (..., m).
        rate: The false discovery rate.
        tests: How many tests the family has, if some of the m places are none (their p is 1); by default m.

    Returns:
        Rejections in the shape of ``p``.
    """
    size = p.shape[-1]
    if not size:
        return np.zeros(p.shape, np.bool_)
    order = np.argsort(p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    rank = np.arange(1, size + 1)
    family = size if tests is None else np.maximum(tests, 1)
    under = ranked <= rate * np.minimum(rank / family, 1.0)  # places beyond the family must not lift the bar
    largest = np.where(under.any(axis=-1), size - np.argmax(under[..., ::-1], axis=-1), 0)
    rejected = np.zeros(p.shape, np.bool_)
    np.put_along_axis(rejected, order, rank <= largest[..., None], axis=-1)
    return rejected


def adjusted(p: Floats) -> Floats:
    """p-values adjusted for their number: the smallest false discovery rate at which each would be rejected.

    p · m / rank, and no more than that of any larger p (Benjamini and Hochberg 1995), in the shape of ``p``, (m,).
    """
    order = np.argsort(p, kind="stable")
    ratio = p[order] * len(p) / np.arange(1, len(p) + 1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1.0)
    return result


def hypergeometric_tail(hits: Integers, drawn: Integers, marked: Integers, total: int) -> Floats:
    """P(at least ``hits`` marked among ``drawn`` of ``total``, of which ``marked`` are marked), broadcast."""
    hits, drawn, marked = np.broadcast_arrays(hits, drawn, marked)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))

    def log_choose(n: Integers, k: Integers) -> Floats:
        chosen: Floats = log_factorial[n] - log_factorial[k] - log_factorial[n - k]
        return chosen

    tail = np.zeros(hits.shape)
    for marks in range(int(marked.max(initial=0)) + 1):
        possible = (marks >= hits) & (marks <= np.minimum(drawn, marked)) & (drawn - marks <= total - marked)
        d, m = drawn[possible], marked[possible]
        tail[possible] += np.exp(
            log_choose(m, np.full_like(m, marks))
            + log_choose(total - m, d - marks)
            - log_choose(np.full_like(d, total), d)
        )
    return np.minimum(np.where(hits <= 0, 1.0, tail), 1.0)


def binomial_tail(hits: Numbers, trials: Numbers, chance: Floats) -> Floats:
    """P(at least ``hits`` of ``trials`` succeed), broadcast; ``hits`` and ``trials`` need not be whole.

    The tail is the regularised incomplete beta function I_chance(hits, trials - hits + 1) (Abramowitz and Stegun
    26.5.24), which carries it over to the fractional counts of overdispersed data.
    """
    k, n, p = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (hits, trials, chance)))
    result = np.ones(k.shape)
    inner = (k > 0) & (p < 1)
    result[inner] = _incomplete_beta(k[inner], n[inner] - k[inner] + 1, p[inner])
    result[(k > 0) & (p <= 0)] = 0.0
    return result


def negative_binomial_tail(hits: Numbers, mean: Floats, variance: Floats) -> Floats:
    """P(at least ``hits``) of a count with this mean and variance, broadcast; Poisson where it is not overdispersed.

    With r = mean² / (variance - mean), the tail is I_(mean / (r + mean))(hits, r) (Abramowitz and Stegun 26.5.26).

    Args:
        hits: The count; P(0 or more) is 1.
        mean: Its expectation, above 0.
        variance: Its variance; at or below ``mean`` the count is Poisson's.
    """
    k, mean, variance = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (hits, mean, variance)))
    result = np.ones(k.shape)
    wide = (k > 0) & (variance > mean * (1 + 1e-9))
    size = mean[wide] ** 2 / (variance[wide] - mean[wide])
    result[wide] = _incomplete_beta(k[wide], size, mean[wide] / (size + mean[wide]))
    narrow = (k > 0) & ~wide
    result[narrow] = poisson_tail(k[narrow], mean[narrow])
    return result


def poisson_tail(hits: Numbers, mean: Floats) -> Floats:
    """P(at least ``hits``) of a Poisson count, broadcast: the regularised incomplete gamma function P(hits, mean)."""
    k, mean = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(mean, np.float64))
    result = np.ones(k.shape)
    inner = k > 0
    result[inner] = _incomplete_gamma(k[inner], mean[inner])
    return result


def student_tail(deviation: Floats, freedom: Floats) -> Floats:
    """P(at least ``deviation``) of Student's t, broadcast (Abramowitz and Stegun 26.5.27)."""
    t, freedom = np.broadcast_arrays(np.asarray(deviation, np.float64), np.asarray(freedom, np.float64))
    both = _incomplete_beta(freedom / 2, np.full(t.shape, 0.5), freedom / (freedom + t * t))
    return np.where(t >= 0, both / 2, 1 - both / 2)


def testable(least: Floats, rate: float) -> Flags:
    """Which discrete tests could be rejected at all, so that only these count in the correction for many tests.

    A test whose smallest attainable p is too large can produce no false discovery (Tarone 1990; for the false
    discovery rate Gilbert 2005): with k the smallest number such that at most k tests attain rate / k, these are
    tested and the others are not.

    Args:
        least: The smallest p that each test could give, known before its outcome is looked at, shape (m,).
        rate: The false discovery rate that is going to be used.
    """
    ascending = np.sort(least)
    tests = np.arange(1, len(least) + 1)
    attaining = np.searchsorted(ascending, rate / tests, side="right")
    enough = attaining <= tests
    return least <= rate / tests[np.argmax(enough)] if enough.any() else np.zeros(len(least), np.bool_)


def log_gamma(x: Floats) -> Floats:
    """Logarithm of Γ(x) for x > 0 by Stirling's series (Abramowitz and Stegun 6.1.41), which is exact from 10 on."""
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


def _incomplete_gamma(a: Floats, x: Floats) -> Floats:
    """P(a, x) for a > 0: by its series below a + 1, by Lentz's continued fraction above (Numerical Recipes 6.2)."""
    with np.errstate(divide="ignore"):
        front = np.exp(a * np.log(x) - x - log_gamma(a))
    low = x < a + 1
    result = np.empty_like(a)
    result[low] = front[low] * _gamma_series(a[low], x[low])
    result[~low] = 1 - front[~low] * _gamma_fraction(a[~low], x[~low])
    return np.clip(result, 0.0, 1.0)


def _gamma_series(a: Floats, x: Floats) -> Floats:
    term = 1 / a
    total = term.copy()
    for n in range(1, _ITERATIONS):
        term = term * x / (a + n)
        total += term
        if np.all(term <= _EXACT * total):
            break
    return total


def _gamma_fraction(a: Floats, x: Floats) -> Floats:
    b = x + 1 - a
    c = np.full_like(a, 1 / _TINY)
    d = 1 / _away_from_zero(b, _TINY)
    fraction = d.copy()
    for n in range(1, _ITERATIONS):
        b = b + 2
        d = 1 / _away_from_zero(n * (a - n) * d + b, _TINY)
        c = _away_from_zero(b + n * (a - n) / c, _TINY)
        fraction *= d * c
        if np.all(np.abs(d * c - 1) < _EXACT):
            break
    return fraction


def _incomplete_beta(a: Floats, b: Floats, x: Floats) -> Floats:
    """I_x(a, b) by Lentz's continued fraction (Numerical Recipes 6.4), on the side where it converges fast."""
    swap = x > (a + 1) / (a + b + 2)
    a, b, x = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    with np.errstate(divide="ignore"):
        log_front = a * np.log(x) + b * np.log1p(-x)
    log_front -= log_gamma(a) + log_gamma(b) - log_gamma(a + b)
    c = np.ones_like(a)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1), _TINY)
    fraction = d.copy()
    for m in range(1, _ITERATIONS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + step * d, _TINY)
            c = _away_from_zero(1 + step / c, _TINY)
            fraction *= d * c
        if np.all(np.abs(d * c - 1) < _EXACT):
            break
    value = np.exp(log_front) * fraction / a
    return np.clip(np.where(swap, 1 - value, value), 0.0, 1.0)


def _away_from_zero(value: Floats, tiny: float) -> Floats:
    return np.where(np.abs(value) < tiny, tiny, value)


def run_starts(group: Integers, at: Instants, gap: int) -> Flags:
    """Which events open a run: the first of its group, or more than ``gap`` after the one before.

    Args:
        group: The group of each event, ascending, shape (n,).
        at: Instants, ascending within a group, shape (n,).
        gap: The longest pause within a run, in microseconds: ``BOUT_GAP`` for bouts.
    """
    opens = np.ones(len(at), np.bool_)
    opens[1:] = (group[1:] != group[:-1]) | (np.diff(at) > gap)
    return opens


def by_group(group: NDArray[np.integer], at: Instants) -> tuple[Integers, Instants]:
    """Events ordered by group and, within it, by time."""
    order = np.lexsort((at, group))
    return group[order].astype(np.int64), at[order]


def count_by_hour(group: Integers, hours: Integers, groups: int) -> Integers:
    """How many events each group has in each hour, shape (groups, 24)."""
    counts = np.bincount(group * HOURS + hours, minlength=groups * HOURS)
    return counts.reshape(groups, HOURS).astype(np.int64)


def peak_hours(  # noqa: PLR0917 - parallel columns and their frame
    group: Integers, at: Instants, groups: int, window: DayWindow, known: Spans, rate: float = 0.05
) -> tuple[Flags, Floats]:
    """Hours that hold more of a group's events than chance explains.

    Events come in bursts, so an hour's p is the larger of two: (a) hypergeometric, of the 5-minute slots that the group
    occupies in the hour among those it occupies in the day; (b) binomial, of the hour's events among the day's, both
    divided by φ = Σs²/Σs over clusters of events at most 120 s apart, against the hour's share of the known time. Hours
    are tested together per group (Benjamini and Hochberg); a peak has at least three occupied slots.

    Args:
        group: The group (entity, area, pair) of each event, ascending, shape (n,).
        at: Instants within the window, ascending within a group, shape (n,).
        groups: How many groups there are.
        window: The day.
        known: The known time of the day, disjoint spans.
        rate: The false discovery rate.

    Returns:
        Peaks and p-values, both of shape (groups, 24).
    """
    slots = np.arange(window.start, window.end, SLOT)
    hour_of_slot = window.hours_of(slots)
    slot = (at - window.start) // SLOT
    usable = np.zeros(len(slots), np.bool_)
    for start, end in known:
        usable |= (slots < end) & (slots + SLOT > start)
    usable[slot] = True
    marked = np.bincount(hour_of_slot[usable], minlength=HOURS).astype(np.int64)
    occupied = np.unique(group * len(slots) + slot) if len(slots) else slot
    occupied_by_hour = count_by_hour(
        occupied // max(len(slots), 1), hour_of_slot[occupied % max(len(slots), 1)], groups
    )
    counts = count_by_hour(group, window.hours_of(at), groups)

    length = window.microseconds_by_hour(known).astype(np.float64)
    share = length / max(length.sum(), 1.0)
    dispersion = _dispersion(group, at, groups)[:, None]
    p = np.maximum(
        hypergeometric_tail(
            occupied_by_hour, occupied_by_hour.sum(axis=1)[:, None], marked[None, :], int(marked.sum())
        ),
        binomial_tail(counts / dispersion, counts.sum(axis=1)[:, None] / dispersion, share[None, :]),
    )
    p[:, length == 0] = 1.0
    peaks = benjamini_hochberg(p, rate, int(np.count_nonzero(length)))
    return peaks & (occupied_by_hour >= PEAK_SLOTS), p


def hours_explained(at: Instants, window: DayWindow, known: Spans, rate: float) -> list[tuple[str | int | float, ...]]:
    """What speaks for the peak hours of one group: hour, events, events expected by chance, p, and whether it is one.

    Args:
        at: The group's instants within the window, ascending, shape (n,).
        window: The day.
        known: The known time of the day.
        rate: The false discovery rate.
    """
    group = np.zeros(len(at), np.int64)
    peaks, p = peak_hours(group, at, 1, window, known, rate)
    counts = count_by_hour(group, window.hours_of(at), 1)[0]
    length = window.microseconds_by_hour(known)
    expected = len(at) * length / max(int(length.sum()), 1)
    return [
        (
            hour,
            int(counts[hour]),
            round(float(expected[hour]), 2),
            float(f"{p[0, hour]:.3g}"),
            "peak" if peaks[0, hour] else "",
        )
        for hour in range(HOURS)
        if length[hour]
    ]


def _dispersion(group: Integers, at: Instants, groups: int) -> Floats:
    """φ of each group: the size of the cluster that its average event lies in; 1 where there is none."""
    opens = run_starts(group, at, CLUSTER_GAP)
    sizes = np.diff(np.append(np.flatnonzero(opens), len(at))).astype(np.float64)
    of_group = group[opens]
    squares = np.bincount(of_group, sizes**2, minlength=groups)
    return np.maximum(squares / np.maximum(np.bincount(of_group, sizes, minlength=groups), 1.0), 1.0)


def bouts_by_group(group: Integers, at: Instants, groups: int) -> Integers:
    """How many bouts each group has: runs of events at most 300 s apart."""
    return np.bincount(group[run_starts(group, at, BOUT_GAP)], minlength=groups).astype(np.int64)
