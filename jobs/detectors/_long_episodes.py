"""The tests of ``anomaly`` for episodes that are too long: finished ones, and those that go on when the day ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.detectors._baseline import Baseline
from jobs.detectors._deviations import DAYS_REPORTED, Surprises
from jobs.statistics import home_rates, long_tails
from jobs.statistics.arrays import Floats, Integers
from storage.models import ActiveTimeDaily, DurationDaily

_MIN_SECONDS: Final = 1200.0  # a shorter episode is not worth a report, however short the others are
_MIN_RATIO: Final = 1.5  # nor is one that is not so many times as long as the longest before
_MIN_DAYS_WITH_EPISODES: Final = 7
_MIN_EPISODES: Final = 10
_MIN_SPREAD: Final = 0.3  # of the logarithm of a length, for the deviation
_MAX_EARLIER_ANOMALIES: Final = 2  # in the baseline of the whole home; with more, they are usual in it
_MIN_REPEATED: Final = 2  # outliers within the baseline after which one is news only if it is longer still
_MIN_SHARE_OF_OUTLIER: Final = 0.5  # of a single outlier within the baseline, for an episode to be news
_DAY_SECONDS: Final = 86_400.0
_CLOCK_CHANGE_SECONDS: Final = 3600.0
_NOT_JUDGED: Final = ("person.", "device_tracker.")  # who stays at home for long is not a device left on
_MIN_P: Final = 1e-300


class Episodes(NamedTuple):
    """The episodes of the entities that can be judged, by day and column; the judged day is the last.

    Attributes:
        entity: The entities' codes, shape (columns,).
        longest: The logarithm of the longest finished episode in seconds; -inf without one, shape (days, columns).
        number: The finished episodes, in the same shape.
        so_far: The logarithm of how long the episode that had not ended had lasted; -inf without one, likewise.
        counted: The baseline days with a finished episode, likewise.
        baseline: All baseline days of each entity, likewise.
    """

    entity: Integers
    longest: Floats
    number: Floats
    so_far: Floats
    counted: Flags
    baseline: Flags


def episodes_of(
    baseline: Baseline, min_days: int, durations: Iterable[DurationDaily], active: Iterable[ActiveTimeDaily]
) -> Episodes:
    """Return the episodes of the entities with enough of them in the baseline."""
    longest, so_far = np.full(baseline.bouts.shape, -np.inf), np.full(baseline.bouts.shape, -np.inf)
    number = np.zeros(baseline.bouts.shape)
    for row in durations:
        place = baseline.index_of(row.date), baseline.code_of(row.entity_id)
        if min(place) >= 0:
            longest[place], number[place] = math.log(max(row.max_duration_seconds, 1.0)), row.episodes or 1
    for one in active:
        place = baseline.index_of(one.date), baseline.code_of(one.entity_id)
        if min(place) >= 0 and one.still_active_seconds:
            so_far[place] = math.log(max(one.still_active_seconds, 1.0))
    counted = baseline.counted & (number > 0)
    enough = (baseline.counted.sum(axis=0) >= min_days) & (counted.sum(axis=0) >= _MIN_DAYS_WITH_EPISODES)
    enough &= np.where(counted, number, 0).sum(axis=0) >= _MIN_EPISODES
    enough &= np.array([not entity_id.startswith(_NOT_JUDGED) for entity_id in baseline.ids], np.bool_)
    entity = np.flatnonzero(enough)
    return Episodes(
        entity,
        longest[:, entity],
        number[:, entity],
        so_far[:, entity],
        counted[:, entity],
        baseline.counted[:, entity],
    )


class LongEpisodes:
    """What is learnt of how long episodes last.

    Args:
        episodes: The episodes.
        max_a_day: How many entities a day may be reported by chance.
    """

    def __init__(self, episodes: Episodes, max_a_day: float) -> None:
        self._episodes = episodes
        self._max_a_day = max_a_day
        self._tails = long_tails.Tails(episodes.longest, episodes.number, episodes.counted)
        self._kept = np.where(self._tails.kept, episodes.longest, -np.inf)
        self._outlier_bar = _outlier_bar(np.where(episodes.counted & ~self._tails.kept, episodes.longest, -np.inf)[:-1])

    def long_duration(self) -> Surprises:
        """Test for a finished episode that is longer than chance explains."""
        one = self._episodes
        return self._test("long_duration", one.longest, one.number, self._tails.kept, 0)

    def still_active(self) -> Surprises:
        """Test for an episode that goes on at the end of the day and is already longer than chance explains."""
        one = self._episodes
        others = one.baseline & ~_went_on(one.so_far)  # an episode must not make itself usual
        mean = np.where(one.baseline, one.number, 0.0).sum(axis=0) / np.maximum(one.baseline.sum(axis=0), 1)
        uses = np.maximum(one.number, mean)  # as many as a day has, whether or not one of them goes on
        return self._test("still_active", one.so_far, uses, others, 1)  # it ends on the next day or later

    def _test(
        self,
        kind: Literal["long_duration", "still_active"],
        length: Floats,
        uses: Floats,
        counted: Flags,
        days_later: int,
    ) -> Surprises:
        """Compare the judged day's lengths with those of each baseline day, judged by all other days."""
        other = _longest_of_other_days(self._kept, days_later)
        day, column = np.nonzero(counted[:-1] & _is_worth(length, other)[:-1])
        chance = self._tails.chance(length[day, column], uses[day, column], column, day + days_later)
        earlier_anomaly = chance * len(self._episodes.entity) <= self._max_a_day
        if np.count_nonzero(earlier_anomaly) <= _MAX_EARLIER_ANOMALIES:
            chance = chance[~earlier_anomaly]
        past = _scores(chance)
        today = np.flatnonzero(np.isfinite(length[-1]))
        seconds, longest = np.exp(length[-1, today]), self._kept.max(axis=0, initial=-np.inf)[today]
        p, a_day = self._rates(seconds, uses[-1, today], today, longest, past)
        earlier = np.maximum(seconds - DAYS_REPORTED * _DAY_SECONDS, 1.0)
        is_known = self._rates(earlier, uses[-1, today], today, longest, past)[1] <= self._max_a_day
        days = np.maximum(self._tails.kept.sum(axis=0), 1)
        logs = np.where(self._tails.kept, self._kept, 0.0)
        mean = logs.sum(axis=0) / days
        squares = (np.where(self._tails.kept, logs - mean, 0.0) ** 2).sum(axis=0)
        spread = np.maximum(np.sqrt(squares / np.maximum(days - 1, 1)), _MIN_SPREAD)
        return Surprises(
            kind=kind,
            entity=self._episodes.entity[today],
            reported=(a_day <= self._max_a_day) & ~is_known,
            a_day=a_day,
            p=p,
            expected=np.exp(mean[today]),
            deviation=(length[-1] - mean)[today] / spread[today],
            occurrences=uses[-1, today].astype(np.int64),
            duration_seconds=seconds,
            longest_before_seconds=np.exp(longest),
            left_out=int(np.count_nonzero(is_known)),
        )

    def _rates(
        self, seconds: Floats, uses: Floats, column: Integers, longest: Floats, past: Floats
    ) -> tuple[Floats, Floats]:
        """Return the p-value of each length, and how many entities a day have such a one by chance.

        The latter is the larger of two: by the model of the tails, and by this home's past.
        """
        length, tests = np.log(seconds), len(self._episodes.entity)
        p = self._tails.chance(length, uses, column)
        by_past = home_rates.entities_a_day(_scores(p), past, len(self._kept) - 1)
        worth = _is_worth(length, longest) & (length > self._outlier_bar[column])
        return p, np.where(worth, np.maximum(by_past, p * tests), np.inf)


def _went_on(so_far: Floats) -> Flags:
    """Return at the end of which days the episode that goes on at the end of the last day had already begun.

    Args:
        so_far: The logarithm of how long the episode had lasted at the end of each day, shape (days, columns).
    """
    days_ago = np.arange(len(so_far))[::-1, None]  # or more, as days that are not complete have no row
    lasted = np.exp(so_far)
    went_on: Flags = (lasted > 0) & (lasted[-1] - lasted >= days_ago * _DAY_SECONDS - _CLOCK_CHANGE_SECONDS)
    went_on[-1] = False
    return went_on


def _is_worth(length: Floats, longest_other: Floats) -> Flags:
    """Return which lengths would be worth a report, however rare they are."""
    worth: Flags = (length >= math.log(_MIN_SECONDS)) & (length >= longest_other + math.log(_MIN_RATIO))
    return worth


def _outlier_bar(outliers: Floats) -> Floats:
    """Return, for each column, what a length must exceed so that an outlier of the baseline does not make it old news.

    Args:
        outliers: The logarithm of each outlier, -inf elsewhere, shape (days, columns).
    """
    is_repeated = np.isfinite(outliers).sum(axis=0) >= _MIN_REPEATED
    bar: Floats = outliers.max(axis=0, initial=-np.inf) + np.where(is_repeated, 0.0, math.log(_MIN_SHARE_OF_OUTLIER))
    return bar


def _scores(p: Floats) -> Floats:
    scores: Floats = -np.log(np.maximum(p, _MIN_P))
    return scores


def _longest_of_other_days(longest: Floats, days_later: int) -> Floats:
    """Return, for each day, the longest of all days but the one so many days later, shape (days, columns)."""
    first, rest = longest.argmax(axis=0), longest.copy()
    rest[first, np.arange(longest.shape[1])] = -np.inf
    day = np.arange(len(longest))[:, None] + days_later
    others: Floats = np.where(day == first, rest.max(axis=0), longest.max(axis=0))
    return others
