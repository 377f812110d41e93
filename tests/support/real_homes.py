"""Readers for the recordings of real homes in ``../shared/data``, for tests only.

One is a Home Assistant database, read by the job's own source. The times of the others are local without an offset;
they are read as UTC, so that every day has 24 hours. Only whole days are used: a first or last day that is incomplete
is cut off.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import DAY, MINUTE, SECOND, DayWindow, to_instant
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from storage.dates import DateRange

DATA: Final = Path(os.environ.get("REAL_HOMES", Path(__file__).resolve().parents[3] / "shared" / "data"))
UTC: Final = ZoneInfo("UTC")
MADRID: Final = ZoneInfo("Europe/Madrid")
RECORDED: Final = "ha_recorder_a"
_SLUG = re.compile(r"[^a-z0-9]+")
_CLASSES: Final = (("pir", "motion"), ("sonar", "motion"), ("door", "door"), ("magnetic", "door"))
_ARAS: Final = (
    ("wardrobe_1", "bedroom"), ("convertible_couch", "living"), ("tv", "living"), ("couch_1", "living"),
    ("couch_2", "living"), ("chair_1", "kitchen"), ("chair_2", "kitchen"), ("fridge", "kitchen"),
    ("kitchen_drawer", "kitchen"), ("wardrobe_2", "bedroom"), ("bathroom_cabinet", "bathroom"),
    ("house_door", "hall"), ("bathroom_door", "bathroom"), ("shower_door", "bathroom"), ("hall_sonar", "hall"),
    ("kitchen_sonar", "kitchen"), ("tap", "bathroom"), ("toilet", "bathroom"), ("kitchen_temperature", "kitchen"),
    ("bed", "bedroom"),
)  # fmt: skip


class Interval(NamedTuple):
    """A time during which a sensor was on: its name, kind or object, and room; from and to, local."""

    name: str
    kind: str
    room: str
    start: dt.datetime
    end: dt.datetime


class Home(NamedTuple):
    """A real home and its whole days."""

    name: str
    recording: Recording
    days: DateRange

    def logs(self) -> Iterator[DayLog]:
        """Return each whole day."""
        return (self.recording.day(DayWindow(day, UTC)) for day in self.days)


def homes() -> list[str]:
    """Return the names of all homes; none where their data is not there."""
    return list(_READERS) if DATA.is_dir() else []


@cache
def home(name: str) -> Home:
    """Read one home."""
    return _READERS[name](name)


def day_logs(name: str) -> list[DayLog]:
    """Return each whole day of a home; ``ha_recorder_a`` is read by the job's source, the others by ``home``."""
    if name != RECORDED:
        return list(home(name).logs())
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "home-assistant_v2.db"
        database.write_bytes(gzip.decompress((DATA / "ha-recorder-a" / "home-assistant_v2.db.gz").read_bytes()))
        registries = DATA / "ha-recorder-a" / "storage"
        source = HomeAssistantDatabase(f"sqlite:///{database}", MADRID, EntityRules(), registries)
        with closing(source):
            return [source.read(DayWindow(day, MADRID)) for day in source.span() or ()]


def _slug(text: str) -> str:
    return _SLUG.sub("_", text.strip().lower()).strip("_")


def _home(name: str, intervals: Iterable[Interval]) -> Home:
    intervals = sorted(set(intervals), key=lambda one: (one.start, one.name))
    builder = SampleBuilder()
    for one in intervals:
        entity_id = f"binary_sensor.{_slug(one.name)}"
        device_class = next((found for word, found in _CLASSES if word in f"{one.kind} {one.name}".lower()), None)
        builder.describe(Description(entity_id, device_class=device_class, area_id=_slug(one.room) or None))
    first = min(one.start for one in intervals).date() + dt.timedelta(1)
    last = max(one.start for one in intervals).date() - dt.timedelta(1)
    start, end = (to_instant(dt.datetime.combine(day, dt.time(), dt.UTC)) for day in (first, last))
    for one in intervals:
        entity_id = f"binary_sensor.{_slug(one.name)}"
        on, off = (to_instant(at.replace(tzinfo=dt.UTC)) for at in (one.start, one.end))
        builder.add(on, entity_id, "on")
        builder.add(max(off, on + SECOND // 2), entity_id, "off")
    for entity_id in {f"binary_sensor.{_slug(one.name)}" for one in intervals}:
        builder.add(start - 7 * DAY, entity_id, "off")
    samples = builder.build([(start - 7 * DAY, end + DAY)])
    return Home(name, Recording.of(samples, EntityRules()), DateRange(first, last))


def _ordonez(name: str) -> Home:
    def rows() -> Iterator[Interval]:
        for line in (DATA / "uci-ordonez-a" / "OrdonezA_Sensors.txt").read_text().splitlines()[2:]:
            start_day, start, end_day, end, place, kind, room = line.split()
            at, until = (
                dt.datetime.fromisoformat(f"{day} {clock}") for day, clock in ((start_day, start), (end_day, end))
            )
            yield Interval(place, kind, room, at, until)

    return _home(name, rows())


def _kasteren(name: str) -> Home:
    folder, house = DATA / "vankasteren", name[-1].upper()
    names = {}
    for line in _text(folder / f"house{house}.sensor_names").splitlines():
        number, _, label = line.partition("\t")
        names[number.strip()] = label.strip()
    rooms = {}
    for line in _text(folder / f"house{house}.meta_features").splitlines():
        room, _, label = line.partition("\t")
        rooms[label.strip()] = room.strip()
    file = "kasterenSenseData.txt" if house == "A" else f"house{house}-ss.txt"

    def rows() -> Iterator[Interval]:
        for line in _text(folder / file).splitlines():
            parts = [part.strip() for part in line.split("\t")]
            if len(parts) >= 3 and parts[0][:2].isdigit() and parts[0][2:3] == "-":
                label = names.get(parts[2], f"sensor {parts[2]}")
                at, until = (dt.datetime.strptime(part, "%d-%b-%Y %H:%M:%S") for part in parts[:2])  # noqa: DTZ007 - local without offset
                yield Interval(label, label, rooms.get(label, ""), at, until)

    return _home(name, rows())


def _text(path: Path) -> str:
    return path.read_text(encoding="latin-1")


def _mit(name: str) -> Home:
    folder = DATA / "mit-house-n" / f"subject{name[-1]}"
    with (folder / "sensors.csv").open(encoding="latin-1") as file:
        places = {row[0]: (row[1].strip(), row[2].strip()) for row in csv.reader(file)}

    def rows() -> Iterator[Interval]:
        with (folder / "activities_data.csv").open(encoding="latin-1") as file:
            lines = list(csv.reader(file))
        for (_, date, *_), ids, _, ons, offs in zip(*(lines[part::5] for part in range(5)), strict=True):
            month, day, year = map(int, date.split("/"))
            if (month, day) == (4, 31):  # a mistake in the data
                month, day = 5, 1
            for sensor, on, off in zip(ids, ons, offs, strict=True):
                if not sensor:
                    continue
                room, thing = places[sensor]
                start, end = (
                    dt.datetime.strptime(f"{year}-{month}-{day} {clock}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - local
                    for clock in (on, off)
                )
                yield Interval(f"{room} {thing} {sensor}", thing, room, start, end + dt.timedelta(days=end < start))

    return _home(name, rows())


def _aras(name: str) -> Home:
    builder = SampleBuilder()
    days = DateRange(dt.date(2013, 3, 4), dt.date(2013, 4, 2))  # the days are numbered, not dated
    start = to_instant(dt.datetime.combine(days.first, dt.time(), dt.UTC))
    for place, room in _ARAS:
        device_class = next((found for word, found in _CLASSES if word in place), None)
        builder.describe(Description(f"binary_sensor.{place}", device_class=device_class, area_id=room))
    for number in range(len(days)):
        with gzip.open(DATA / "aras-house-a" / f"DAY_{number + 1}.txt.gz", "rb") as file:
            bits = np.array(file.read().split(), np.int8).reshape(-1, 22)[:, :20]
        second, column = np.nonzero(np.diff(bits, axis=0, prepend=1 - bits[:1]))
        for at, which in zip(second.tolist(), column.tolist(), strict=True):
            builder.add(
                start + number * DAY + at * SECOND, f"binary_sensor.{_ARAS[which][0]}", ("off", "on")[bits[at, which]]
            )
    samples = builder.build([(start - MINUTE, start + len(days) * DAY)])
    return Home(name, Recording.of(samples, EntityRules()), days)


_READERS: Final[dict[str, Callable[[str], Home]]] = {
    "ordonez_a": _ordonez,
    "kasteren_a": _kasteren,
    "kasteren_b": _kasteren,
    "kasteren_c": _kasteren,
    "mit_1": _mit,
    "mit_2": _mit,
    "aras_a": _aras,
}


def shuffled(original: Home, rng: np.random.Generator) -> Iterator[list[np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    """Yield, for each day, when each entity changed on another of its days, in microseconds after midnight.

    So nothing is related any more, but each entity is as bursty and as regular as it really is.
    """
    recording, days = original.recording, list(original.days)
    midnights = [DayWindow(day, UTC).start for day in days]
    columns = []
    for code in range(len(recording.entities)):
        at = recording.events.at[recording.events.entity == code]
        of_day = [at[(at >= midnight) & (at < midnight + DAY)] - midnight for midnight in midnights]
        columns.append([of_day[index] for index in rng.permutation(len(days))])
    return ([column[index] for column in columns] for index in range(len(days)))
