"""What automations did, from the points of automations, scripts and scenes.

InfluxDB does not hold the context of a change. But an automation's own point is written when it is triggered, before
what it does, and again when it has finished; ``current`` counts its runs. A script is ``on`` while it runs, and the
state of a scene is the time at which it was activated. So a device that somebody can operate and that changes with such
a point was changed by it: within ``MAX_DELAY`` after a start or, of a run that lasted longer, just before its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import AUTOMATION, DEVICE
from jobs.activity.settling import MAX_SETTLING
from jobs.activity.window import SECOND, Instants
from jobs.sources.influxdb_points import Layout, Points, entity_id_of
from storage.drivers.influxdb.influxql import Series

MACHINES: Final = ("automation.", "scene.", "script.")
CURRENT: Final = "current"  # how many runs of an automation or script are under way
MAX_DELAY: Final = 2 * SECOND  # from an automation's start until a device reports what it was told
BEFORE_END: Final = SECOND
_OPERATED: Final = (
    "alarm_control_panel climate cover fan humidifier input_boolean input_select lawn_mower light lock media_player"
    " remote select siren switch vacuum valve water_heater"
)
_DOMAINS: Final = tuple(f"{domain}." for domain in _OPERATED.split())


class Runs(NamedTuple):
    """When automations, scripts and scenes began to run, and when they had finished: ascending instants."""

    began: Instants
    ended: Instants


def runs_of(parts: Iterable[Series], layout: Layout) -> Runs:
    """Return the runs from an answer with ``CURRENT`` before the fields of the state."""
    began: list[int] = []
    ended: list[int] = []
    for part in parts:
        is_script = entity_id_of(part.tags, layout).startswith("script.")
        for at, current, *states in part.values:
            (ended if _has_finished(current, states, layout, is_script=is_script) else began).append(at)
    return Runs(np.unique(np.array(began, np.int64)), np.unique(np.array(ended, np.int64)))


def _has_finished(current: Any, states: list[Any], layout: Layout, *, is_script: bool) -> bool:  # noqa: ANN401 - a field
    if layout.attributes and isinstance(current, int | float):
        return current == 0
    return is_script and "off" in states


def causes(points: Points, runs: Runs, starts: Instants) -> NDArray[np.int8]:
    """Return the cause of each point: ``AUTOMATION`` where one of the runs shows it, else ``DEVICE``.

    Args:
        points: All points.
        runs: When automations, scripts and scenes ran.
        starts: Ascending instants at which the recorder started; what reports again after them does not run.
    """
    operated = np.array([about.entity_id.startswith(_DOMAINS) for about in points.about], np.bool_)
    began, ended = (_apart_from(starts, instants) for instants in runs)
    after = _distance(points.at, began, "before") <= MAX_DELAY
    before = _distance(points.at, ended, "after") <= BEFORE_END
    caused = operated[points.entity] & (after | before)
    return np.where(caused, AUTOMATION, DEVICE).astype(np.int8)


def _apart_from(starts: Instants, instants: Instants) -> Instants:
    """Return instants without those at which a home is starting."""
    return instants[_distance(instants, starts, "before") > MAX_SETTLING]


def _distance(at: Instants, others: Instants, side: str) -> Instants:
    """Return how far the nearest of some ascending instants lies before or after each, or very far."""
    far = np.iinfo(np.int64).max
    if not len(others):
        return np.full(len(at), far)
    if side == "before":
        place = np.searchsorted(others, at, side="right") - 1
        return np.where(place >= 0, at - others[np.maximum(place, 0)], far)
    place = np.searchsorted(others, at, side="left")
    return np.where(place < len(others), others[np.minimum(place, len(others) - 1)] - at, far)
