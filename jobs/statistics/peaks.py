"""Find the hours of a day that hold more of a group's events than chance explains."""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.activity.events import Flags, Spans
from jobs.activity.window import MINUTE, DayWindow, Instants
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.bouts import BURST_GAP, bout_starts, count_by_hour
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.tails import binomial_tail, hypergeometric_tail
from storage.models import HOURS

HOUR_COLUMNS: Final = ("hour", "events", "expected", "p", "")
SLOT: Final = 5 * MINUTE
MIN_PEAK_SLOTS: Final = 3  # fewer occupied slots are not a habit, however rare the entity


def peak_hours(  # noqa: PLR0917 - parallel columns and their frame
    group: Integers, at: Instants, groups: int, window: DayWindow, known: Spans, rate: float = 0.05
) -> tuple[Flags, Floats]:
    """Return the hours that hold more of a group's events than chance explains.

    Events come in bursts, so an hour must pass two tests; its p is the larger of the two:

    * Slots: the hypergeometric tail of the 5-minute slots with an event in this hour, among those of the day.
    * Events: the binomial tail of the events in this hour among those of the day, where chance puts them there in
      proportion to the hour's share of the known time. Both counts are divided by φ = Σs²/Σs, with s the sizes of the
      group's bursts: its overdispersion.

    The hours of a group are corrected together (Benjamini and Hochberg). A peak has at least three occupied slots.

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
    occupied, possible = _slots_by_hour(group, at, groups, window, known)
    counts = count_by_hour(group, window.hours_of(at), groups)
    length = window.microseconds_by_hour(known).astype(np.float64)
    share = length / max(length.sum(), 1.0)
    overdispersion = _overdispersion(group, at, groups)[:, None]
    p = np.maximum(
        hypergeometric_tail(occupied, occupied.sum(axis=1)[:, None], possible[None, :], int(possible.sum())),
        binomial_tail(counts / overdispersion, counts.sum(axis=1)[:, None] / overdispersion, share[None, :]),
    )
    p[:, length == 0] = 1.0
    peaks = benjamini_hochberg(p, rate, int(np.count_nonzero(length)))
    return peaks & (occupied >= MIN_PEAK_SLOTS), p


def hours_explained(at: Instants, window: DayWindow, known: Spans, rate: float) -> list[tuple[str | int | float, ...]]:
    """Return the evidence for the peak hours of one group, a line for each known hour; see ``HOUR_COLUMNS``.

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


def _slots_by_hour(
    group: Integers, at: Instants, groups: int, window: DayWindow, known: Spans
) -> tuple[Integers, Integers]:
    """Return the 5-minute slots with an event of a group, shape (groups, 24), and those known in part, shape (24,)."""
    slots = np.arange(window.start, window.end, SLOT)
    hour_of_slot = window.hours_of(slots)
    slot = (at - window.start) // SLOT
    usable = np.zeros(len(slots), np.bool_)
    for start, end in known:
        usable |= (slots < end) & (slots + SLOT > start)
    usable[slot] = True
    occupied = np.unique(group * len(slots) + slot) if len(slots) else slot
    width = max(len(slots), 1)
    possible = np.bincount(hour_of_slot[usable], minlength=HOURS).astype(np.int64)
    return count_by_hour(occupied // width, hour_of_slot[occupied % width], groups), possible


def _overdispersion(group: Integers, at: Instants, groups: int) -> Floats:
    """Return φ of each group: the mean size of the burst that an event lies in; 1 for a group without events."""
    starts = bout_starts(group, at, BURST_GAP)
    sizes = np.diff(np.append(np.flatnonzero(starts), len(at))).astype(np.float64)
    of_group = group[starts]
    squares = np.bincount(of_group, sizes**2, minlength=groups)
    return np.maximum(squares / np.maximum(np.bincount(of_group, sizes, minlength=groups), 1.0), 1.0)
