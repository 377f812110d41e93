"""The stored rows that anomaly reads, made directly from when each thing was in use: ten times as fast as detectors.

They are the rows of ``time_based``, ``duration`` and ``active_time`` but for ``peak_hours``, ``confidence`` and
``efficiency_score``, which anomaly does not read; a test compares them with those of the detectors.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np

from jobs.activity.window import SECOND, DayWindow
from jobs.statistics.bouts import bouts_by_group, by_group, count_by_hour
from storage.models import ActiveTimeDaily, DailyAggregate, DetectorRunDaily, DurationDaily, TimeBasedDaily
from tests.support.homes.uses import Floats, Integers, Lived

COMPUTED_AT: Final = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def stored_rows(lived: Lived) -> dict[dt.date, list[DailyAggregate]]:
    """Return the rows of each day."""
    day_of = _Rows(lived)
    return {window.day: list(day_of.rows(window)) for window in lived.calendar.windows}


class _Rows:
    """The uses of a home as columns (entity, start, end), by end."""

    def __init__(self, lived: Lived) -> None:
        self._lived = lived
        code = np.repeat(np.arange(len(lived.about)), [len(used) for used in lived.used])
        uses: Integers = np.column_stack((code, np.concatenate([np.empty((0, 2), np.int64), *lived.used])))
        self._uses = uses[np.argsort(uses[:, 2], kind="stable")]

    def rows(self, window: DayWindow) -> Iterator[DailyAggregate]:
        """Yield the rows of a day."""
        uses = self._uses[np.searchsorted(self._uses[:, 2], window.start) :]
        uses = uses[uses[:, 1] < window.end]
        active: Floats = np.zeros(len(self._lived.about))
        within = np.minimum(uses[:, 2], window.end) - np.maximum(uses[:, 1], window.start)
        np.add.at(active, uses[:, 0], within / SECOND)
        yield from self._time_based(window, uses)
        yield from self._durations(window, uses, active)
        yield from self._active_times(window, uses, active)

    def _is_start_known(self, uses: Integers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return uses[:, 1] > self._lived.calendar.start

    def _time_based(self, window: DayWindow, uses: Integers) -> Iterator[DailyAggregate]:
        begun = uses[(uses[:, 1] >= window.start) & self._is_start_known(uses)]
        ended = uses[uses[:, 2] < window.end]
        entity, at = by_group(np.concatenate((begun[:, 0], ended[:, 0])), np.concatenate((begun[:, 1], ended[:, 2])))
        number = len(self._lived.about)
        counts, bouts = count_by_hour(entity, window.hours_of(at), number), bouts_by_group(entity, at, number)
        hours = int(np.count_nonzero(window.microseconds_by_hour()))
        acted = np.unique(entity).tolist()
        for code in acted:
            yield TimeBasedDaily(
                date=window.day,
                entity_id=self._lived.about[code].entity_id,
                domain=self._lived.kinds[code].domain,
                hourly_distribution=counts[code].tolist(),
                peak_hours=[],
                frequency=np.count_nonzero(counts[code]) / hours,
                confidence=0.0,
                occurrences=int(counts[code].sum()),
                bouts=int(bouts[code]),
                device_class=self._lived.about[code].device_class,
            )
        yield DetectorRunDaily(
            date=window.day,
            detector="time_based",
            version=1,
            rows=len(acted),
            events=len(at),
            known_seconds=window.seconds,
            day_seconds=window.seconds,
            reason="",
            computed_at=COMPUTED_AT,
        )

    def _durations(self, window: DayWindow, uses: Integers, active: Floats) -> Iterator[DailyAggregate]:
        ended = uses[(uses[:, 2] < window.end) & self._is_start_known(uses)]
        lengths = (ended[:, 2] - ended[:, 1]) / SECOND
        for code in np.unique(ended[:, 0]).tolist():
            of_entity = lengths[ended[:, 0] == code]
            shortest, longest = float(of_entity.min()), float(of_entity.max())
            mean = float(np.clip(of_entity.mean(), shortest, longest))
            yield DurationDaily(
                date=window.day,
                entity_id=self._lived.about[code].entity_id,
                avg_duration_seconds=mean,
                min_duration_seconds=shortest,
                max_duration_seconds=longest,
                duration_variance=float(((of_entity - mean) ** 2).mean()),
                efficiency_score=None,
                episodes=len(of_entity),
                active_seconds=float(active[code]),
            )

    def _active_times(self, window: DayWindow, uses: Integers, active: Floats) -> Iterator[DailyAggregate]:
        going_on = uses[uses[:, 2] >= window.end]
        start_known = dict(zip(going_on[:, 0].tolist(), self._is_start_known(going_on).tolist(), strict=True))
        still = dict(zip(going_on[:, 0].tolist(), ((window.end - going_on[:, 1]) / SECOND).tolist(), strict=True))
        for code, about in enumerate(self._lived.about):
            if active[code] > 0 or self._lived.kinds[code].domain == "person":
                yield ActiveTimeDaily(
                    date=window.day,
                    entity_id=about.entity_id,
                    active_seconds=float(active[code]),
                    known_seconds=window.seconds,
                    still_active_seconds=still.get(code),
                    start_known=None if code not in still else "yes" if start_known[code] else "no",
                )
