"""The rows of one home from Parquet files as samples: which can be used, and what its entities are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DEVICE, GAP, Codes, Flags, Samples, Spans
from jobs.activity.reclassified import prevailing
from jobs.activity.states import GAPS
from jobs.activity.window import Instants, from_instant, to_instant
from jobs.sources.parquet_events import EventFile
from jobs.sources.parquet_rows import Rows
from storage.models import TAG_LENGTH, tag_fault
from storage.plurals import counted

OLDEST: Final = to_instant(dt.datetime(1971, 1, 1, tzinfo=dt.UTC))  # earlier ones are of a clock that was not set
NEWEST: Final = to_instant(dt.datetime(9000, 1, 1, tzinfo=dt.UTC))
NO_INSTANTS: Final = np.empty(0, np.int64)


class Fault(NamedTuple):
    """Rows that could not be used for one reason: how many of which day, and what to report; no day is every day."""

    day: dt.date | None
    row_count: int
    text: str


@dataclass(frozen=True, slots=True)
class HomeEvents:
    """Rows of the home that can be used, in order of time; ``area`` and ``device_class`` are -1 where blank."""

    at: Instants
    entity: Codes
    state: Codes
    area: Codes
    device_class: Codes
    entities: list[str]
    states: list[str]
    areas: list[str]
    device_classes: list[str]
    faults: list[Fault]


class EventCollector:
    """Collects rows of a span and gives entities, states, areas and classes codes of their own.

    Args:
        start: The begin of the span.
        end: Its end.
        now: The present instant; later rows cannot be used.
        zone: The home's zone, for the day of a row.
    """

    def __init__(self, start: int, end: int, now: int, zone: ZoneInfo) -> None:
        self._start, self._end, self._now, self._zone = start, end, now, zone
        self._at: list[Instants] = []
        self._codes: dict[str, list[Codes]] = {"entity": [], "state": [], "area": [], "device_class": []}
        self._texts: dict[str, dict[str, int]] = {name: {} for name in self._codes}
        self._faults: list[Fault] = []

    def add(self, file: EventFile, rows: Rows) -> None:
        """Add the rows of the home in one row group."""
        is_good = self._check_times(file, rows.at)
        found = {
            "entity": self._coded("entity", rows.entity, rows.texts["entity_id"]),
            "state": self._coded("state", rows.state, rows.texts["state"]),
            "area": self._coded("area", rows.area, rows.texts["area"]),
            "device_class": self._coded("device_class", rows.device_class, rows.texts["device_class"]),
        }
        within = is_good & (rows.at >= self._start) & (rows.at < self._end)
        for name, reason_of in (("entity", _entity_fault), ("state", _state_fault)):
            reasons = {code: reason for text, code in self._texts[name].items() if (reason := reason_of(text))}
            reasons |= {-1: "no entity_id"} if name == "entity" else {}
            for code in np.intersect1d(found[name][within], list(reasons)).tolist():
                bad = within & (found[name] == code)
                self._report_by_day(file, rows.at[bad], reasons[code])
                within &= ~bad
        states = np.array([*(text not in GAPS for text in self._texts["state"]), False], np.bool_)
        self._at.append(rows.at[within])
        for name, codes in found.items():
            kept = codes[within]
            self._codes[name].append(np.where(states[kept], kept, GAP).astype(np.int32) if name == "state" else kept)

    def build(self) -> HomeEvents:
        """Return what was collected, in order of time; rows of one instant keep their order."""
        at = np.concatenate((NO_INSTANTS, *self._at))
        order = np.argsort(at, kind="stable")
        codes = {name: np.concatenate((np.empty(0, np.int32), *parts))[order] for name, parts in self._codes.items()}
        texts = {name: list(texts) for name, texts in self._texts.items()}
        return HomeEvents(
            at=at[order],
            entity=codes["entity"],
            state=codes["state"],
            area=codes["area"],
            device_class=codes["device_class"],
            entities=texts["entity"],
            states=texts["state"],
            areas=texts["area"],
            device_classes=texts["device_class"],
            faults=self._faults,
        )

    def _coded(self, name: str, codes: Codes, texts: Sequence[str]) -> Codes:
        """Return codes of this collection for those of a row group; a blank area or class is -1."""
        known = self._texts[name]
        translated = np.full(len(texts) + 1, -1, np.int32)  # null is the last, at -1
        for code in np.unique(codes).tolist():
            if code >= 0 and ((text := texts[code].strip()) or name in ("entity", "state")):
                translated[code] = known.setdefault(text, len(known))
        return translated[codes]

    def _check_times(self, file: EventFile, at: Instants) -> Flags:
        """Return which rows have a time that can be used; report the others on the day of their folder."""
        low, high = file.bounds or (OLDEST, NEWEST)
        is_old, is_late = at < OLDEST, at > self._now
        elsewhere = ~is_old & ~is_late & ((at < low) | (at >= high))
        is_good: Flags = ~is_old & ~is_late & ~elsewhere
        if not is_good.all():
            for is_bad, reason in (
                (is_old, "has no time, or one of a clock that was not set"),
                (is_late, "is in the future"),
                (elsewhere, "is not of the day that its folder names"),
            ):
                if count := int(np.count_nonzero(is_bad)):
                    self._faults.append(Fault(file.day, count, f"{_name(file)}: {counted(count, 'row')} {reason}"))
        return is_good

    def _report_by_day(self, file: EventFile, at: Instants, reason: str) -> None:
        days = [from_instant(one).astimezone(self._zone).date() for one in at.tolist()]
        for day in dict.fromkeys(days):
            self._faults.append(Fault(day, days.count(day), f"{_name(file)}: {reason}"))


def _name(file: EventFile) -> str:
    return PurePosixPath(file.path).name


def _entity_fault(text: str) -> str:
    fault = tag_fault(text)
    return f"the entity_id {fault}" if fault else ""


def _state_fault(text: str) -> str:
    is_bad = len(text) > TAG_LENGTH or any("\ud800" <= character <= "\udfff" for character in text)
    return f"the state is not a text of at most {TAG_LENGTH} characters" if is_bad else ""


def samples_of(events: HomeEvents, rules: EntityRules, known: Spans) -> Samples:
    """Return rows as samples, with what each entity is.

    Args:
        events: The rows.
        rules: How entities are classified: where the class of one changed, ``reclassified`` says what counts.
        known: Disjoint, ascending spans of known time.
    """
    state = events.state.copy()
    entities = []
    pairs = np.unique(np.column_stack((events.entity, events.area, events.device_class)), axis=0)
    several = np.bincount(pairs[:, 0], minlength=len(events.entities)) > 1
    one_pair = {int(entity): (int(area), int(kind)) for entity, area, kind in pairs}
    for code in range(len(events.entities)):
        if several[code]:
            about, left_out = _newest_description(events, code, rules)
            state[left_out] = GAP
        else:
            about = _description(events, code, *one_pair.get(code, (-1, -1)))
        entities.append(about)
    return Samples(
        at=events.at,
        entity=events.entity,
        state=state,
        cause=np.full(len(events.at), DEVICE, np.int8),
        entities=entities,
        states=events.states,
        known=known,
    )


def _description(events: HomeEvents, entity: int, area: int, device_class: int) -> Description:
    return Description(
        events.entities[entity],
        device_class=events.device_classes[device_class] if device_class >= 0 else None,
        area_id=events.areas[area] if area >= 0 else None,
    )


def _newest_description(events: HomeEvents, entity: int, rules: EntityRules) -> tuple[Description, NDArray[np.int64]]:
    """Return what an entity is whose description changes, and which samples do not count; a blank changes nothing."""
    places = np.flatnonzero(events.entity == entity)
    described: list[tuple[tuple[int, int], list[int]]] = []
    area = device_class = -1
    for place in places.tolist():
        area = int(events.area[place]) if events.area[place] >= 0 else area
        device_class = int(events.device_class[place]) if events.device_class[place] >= 0 else device_class
        if not described or described[-1][0] != (area, device_class):
            described.append(((area, device_class), []))
        described[-1][1].append(place)
    about, counts = prevailing([_description(events, entity, *pair) for pair, _ in described], rules)
    left_out = [
        place for (_, some), is_counted in zip(described, counts, strict=True) if not is_counted for place in some
    ]
    return about, np.array(left_out, np.int64)
