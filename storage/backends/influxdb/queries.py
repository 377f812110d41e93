"""InfluxQL about the rows of one model: which points to look for, and which to delete.

Rows of ours lie at their date's 00:00 UTC; other writers take noon, or midnight in their own zone, so points are looked
for from a day before to a day after. The ``date`` tag decides which day a row belongs to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from storage.backends.influxdb.line_protocol import FIRST_DAY, LAST_DAY, always_there, midnight_seconds
from storage.columns import HOME
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb.buckets import SECONDS_PER_DAY
from storage.drivers.influxdb.influxql import Query, quote_field, quote_name, quote_tag
from storage.models import DailyAggregate, tag_fault
from storage.store import NO_FILTER, Where, as_values

MAX_BOUND_VALUES: Final = 5_000  # in one query; of many more servers return nothing at all
STORABLE_DAYS: Final = DateRange(FIRST_DAY, LAST_DAY)

_MAX_FILTERED_DAYS = 7  # of more days it takes the server longer to filter by date than it saves

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queries:
    """Builds queries about the rows of one model in one bucket.

    Attributes:
        bucket: The bucket; ``database`` or ``database/policy`` on 1.x.
        model: The model.
        home: The home whose rows these are; its points have no tag ``home`` where it has no name. None means all homes.
    """

    bucket: str
    model: type[DailyAggregate]
    home: str | None = ""

    def select(self, names: Iterable[str], days: DateRange, where: Where = NO_FILTER) -> list[Query]:
        """Return queries for date, tags and some fields of the rows that match; none where nothing can match.

        Args:
            names: The fields by their present names; former names (``FormerlyNamed``) are read too.
            days: Which days, all of them in ``STORABLE_DAYS``.
            where: As in ``AggregateReader.read``; of very many values each query gets a part.
        """
        tags, former = ("date", HOME, *self.model.tags()), self.model.former_names()
        read_tags = tags if self.home is None else ("date", *self.model.tags())
        fields = [*dict.fromkeys([*names, always_there(self.model)])]  # without any field a point is not returned
        fields += [former[name].name for name in fields if name in former]
        selected = ", ".join([*map(quote_tag, read_tags), *(quote_field(name) for name in fields if name not in tags)])
        queries = []
        if self.home is not None and HOME in where:
            if self.home not in as_values(where[HOME]):
                return []
            where = {tag: condition for tag, condition in where.items() if tag != HOME}
        for part in _bindable_parts({tag: _valid_values(tag, condition) for tag, condition in where.items()}):
            query = self._about(f"SELECT {selected}", days)
            for tag, values in part.items():
                query.text += f" AND {query.tag_in(tag, values)}"
            if len(days) <= _MAX_FILTERED_DAYS:
                query.text += f" AND {_has_date(query, days)}"
            queries.append(query)
        return queries

    def count_by_day(self, days: DateRange) -> Query:
        """Return a query that counts the points of each value of the ``date`` tag."""
        query = self._about(f"SELECT count({quote_field(always_there(self.model))})", days)
        query.text += f" GROUP BY {quote_tag('date')}"
        return query

    def select_any(self, day: dt.date) -> Query:
        """Return a query that finds one row of a day, if there is any."""
        days = DateRange(day, day)
        query = self._about("SELECT *", days)
        query.text += f" AND {_has_date(query, days)} LIMIT 1"
        return query

    def delete_keys(self, day: dt.date, keys: Sequence[Key], at_seconds: int | None = None) -> Query:
        """Return a query that deletes the rows of some keys of one day, or only their points at one time."""
        query = self._delete(day)
        query.text += f" AND {query.tags_in(self.model.tags(), keys)}"
        if at_seconds is not None:
            query.text += f" AND time >= {at_seconds}s AND time <= {at_seconds}s"
        return query

    def delete_strays(self, day: dt.date) -> list[Query]:
        """Return queries that delete the points of one day that do not lie at its 00:00 UTC."""
        midnight, queries = midnight_seconds(day), []
        for condition in (f"time < {midnight}s", f"time > {midnight}s"):
            query = self._delete(day)
            query.text += f" AND {condition}"
            queries.append(query)
        return queries

    def _delete(self, day: dt.date) -> Query:
        days = DateRange(day, day)
        query = self._about("DELETE", days)
        query.streamed = False
        query.text += f" AND {_has_date(query, days)}"
        return query

    def _about(self, verb: str, days: DateRange) -> Query:
        start = midnight_seconds(max(days.first - ONE_DAY, FIRST_DAY))
        end = midnight_seconds(min(days.last + ONE_DAY, LAST_DAY)) + SECONDS_PER_DAY
        source = quote_name(self.model.measurement)
        query = Query(self.bucket, f"{verb} FROM {source} WHERE time >= {start}s AND time < {end}s")
        if self.home is not None:
            query.text += f" AND {query.tag_in(HOME, [self.home])}"
        return query


def _has_date(query: Query, days: DateRange) -> str:
    return query.tag_in("date", [day.isoformat() for day in days])


def _valid_values(tag: str, condition: str | Collection[str]) -> list[str]:
    """Return the values of a condition that a tag can have; no row has any other. A home may have an empty name."""
    return [value for value in as_values(condition) if (tag == HOME and not value) or not tag_fault(value)]


def _bindable_parts(conditions: Mapping[str, Sequence[str]]) -> Iterator[Mapping[str, Sequence[str]]]:
    """Split conditions into parts with few enough values, which together match each row once that they match."""
    if not all(conditions.values()):
        return
    if sum(map(len, conditions.values())) <= MAX_BOUND_VALUES:
        yield conditions
        return
    longest = max(conditions, key=lambda tag: len(conditions[tag]))
    values = conditions[longest]
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        yield from _bindable_parts({**conditions, longest: half})
