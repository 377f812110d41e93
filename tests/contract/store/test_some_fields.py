"""Some fields of stored rows are those that the rows have, from any store."""

from __future__ import annotations

from typing import Any

import pytest

from storage.dates import ONE_DAY, DateRange
from storage.models import DailyAggregate, SequenceDaily, TimeBasedDaily
from storage.query import AggregateQuery
from storage.rollup_models import BoutTimesDaily
from storage.store import AggregateStore
from tests.contract.store.test_rollups import DAYS, home


@pytest.mark.parametrize("model", [TimeBasedDaily, BoutTimesDaily, SequenceDaily])
def test_columns_hold_the_fields_of_the_rows_in_their_order(store: AggregateStore, model: type[DailyAggregate]) -> None:
    for batch in home(41)[:5]:
        store.replace_day(batch)
    aggregates, names = AggregateQuery(store), list(model.model_fields)
    days = DateRange(DAYS.first + ONE_DAY, DAYS.first + 3 * ONE_DAY)
    tag: dict[str, Any] = {model.tags()[0]: ["light.n1", "light.n3"]}
    for tags in ({}, tag):
        rows = aggregates.daily(model, days, **tags)
        found = aggregates.columns(model, days, fields=names, **tags)
        assert found == {name: [getattr(row, name) for row in rows] for name in names}
        assert [list(map(type, found[name])) for name in names] == [
            [type(getattr(row, name)) for row in rows] for name in names
        ]


def test_a_store_that_never_had_an_aggregate_has_empty_columns(store: AggregateStore) -> None:
    found = AggregateQuery(store).columns(BoutTimesDaily, DAYS, fields=["starts", "date"], allow_missing=True)
    assert found == {"starts": [], "date": []}
