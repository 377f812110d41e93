"""A response of InfluxDB has as many rows as fit into memory, or is an error."""

from __future__ import annotations

import itertools

import pytest

from jobs.sources.influxdb_points import times_of
from storage.drivers.influxdb.influxql import BrokenResponse, parse_response

PART = b'{"results":[{"series":[{"name":"m","columns":["time"],"values":[[1],[2]]}],"partial":true}]}\n'
END = b'{"results":[{"series":[{"name":"m","columns":["time"],"values":[[3]]}]}]}\n'


def test_as_many_rows_as_allowed_are_read() -> None:
    assert times_of(parse_response([PART, PART, END], max_rows=5)).tolist() == [1, 2, 1, 2, 3]


def test_one_row_more_is_an_error() -> None:
    with pytest.raises(BrokenResponse, match="more than 4 rows"):
        list(parse_response([PART, PART, END], max_rows=4))


def test_rows_without_end_are_not_collected() -> None:
    with pytest.raises(BrokenResponse, match="more than 1000 rows"):
        times_of(parse_response(itertools.repeat(PART), max_rows=1000))


def test_no_rows_are_no_times() -> None:
    assert times_of(parse_response([b'{"results":[{}]}\n'])).tolist() == []
