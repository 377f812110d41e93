"""One bucket of InfluxDB with the raw events of many homes, told apart by a tag."""

from __future__ import annotations

from typing import Final

import pytest

from jobs.activity.window import HOUR, MINUTE
from storage.backends.influxdb.line_protocol import tag_value
from tests.integration.test_influx_source import (
    DAY_BEFORE,
    START,
    WINDOW,
    alive,
    events,
    fill,
    intervals,
    light,
    source_of,
)
from tests.support.influxdb import LiveServer

HOMES: Final = ["a", "a b", "' OR home != '", "ä=1,x", '"quoted"', "$v0"]


def of_home(lines: list[tuple[str, int]], home: str) -> list[tuple[str, int]]:
    """Return points with the tag that names a home."""
    return [(text.replace(" ", f",house={tag_value(home)} ", 1), at) for text, at in lines]


def lines_of(number: int) -> list[tuple[str, int]]:
    """Return a light that was on since an instant of its own before the day, and goes off at an hour of its own."""
    return [
        *alive(START - DAY_BEFORE, WINDOW.end),
        light("off", START - 12 * HOUR),
        light("on", START - (5 + number) * HOUR),
        light("off", START + (1 + number) * HOUR + number * MINUTE),
    ]


def test_each_home_is_given_its_own_points_whatever_its_name_is(influxdb: LiveServer) -> None:
    shared = fill(influxdb, [one for number, home in enumerate(HOMES) for one in of_home(lines_of(number), home)])
    for number, home in enumerate(HOMES):
        alone = source_of(influxdb, fill(influxdb, lines_of(number)))
        one_of_many = source_of(influxdb, shared, home=("house", home))
        found, expected = one_of_many.read(WINDOW), alone.read(WINDOW)
        assert events(found) == events(expected) == [("light.hall", "off", (1 + number) * HOUR + number * MINUTE)]
        assert intervals(found, "light.hall") == intervals(expected, "light.hall")
        assert (found.samples, found.known.tolist()) == (expected.samples, expected.known.tolist())
        assert one_of_many.fingerprint(WINDOW) == alone.fingerprint(WINDOW)
        assert one_of_many.span() == alone.span()
        alone.close()
        one_of_many.close()


@pytest.mark.parametrize("home", ["b", "", ".*", "a' OR '1'='1"])
def test_a_home_that_has_no_points_is_given_none(influxdb: LiveServer, home: str) -> None:
    source = source_of(influxdb, fill(influxdb, of_home(lines_of(0), "a")), home=("house", home))
    assert source.span() is None
    assert source.read(WINDOW).samples == 0
    source.close()


def test_points_of_no_home_are_of_no_home(influxdb: LiveServer) -> None:
    source = source_of(influxdb, fill(influxdb, [*lines_of(0), *of_home(lines_of(3), "a")]), home=("house", "a"))
    assert events(source.read(WINDOW)) == [("light.hall", "off", 4 * HOUR + 3 * MINUTE)]
    source.close()
