"""Homes with thirty days of events, the stores they are kept in, and whether what is kept is what should be."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from storage.backends.influxdb.store import InfluxStore
from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.errors import PatternAggregatesError
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.store import AggregateStore
from tests.support import forked
from tests.support.influxdb import LiveServer

DAYS: Final = DateRange.parse("2026-03-01", "2026-03-30")
BACKFILL: Final = ("backfill", str(DAYS.first), str(DAYS.last))
SIMULATED: Final = f"""
[source]
kind = "simulated_home"
seed = 4
events_per_day = 500
first_day = {DAYS.first}
last_day = {DAYS.last}
"""

ZONE: Final = ZoneInfo("Europe/Berlin")
RETRY: Final = 75
MOST_CALLS: Final = 30

Rows = dict[str, list[dict[str, Any]]]


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Result:
    """A line of the table.

    Attributes:
        fault: What was done to the program.
        tries: How often.
        wrong: What was not as it should be, each.
        seen: What happened, in words.
        seconds: How long all of it took.
    """

    fault: str
    tries: int = 0
    wrong: list[str] = field(default_factory=list)
    seen: str = ""
    seconds: float = 0.0

    def check(self, trouble: str, where: object = "") -> None:
        """Note what is wrong, if something is."""
        if trouble:
            self.wrong.append(f"{where}: {trouble}" if where != "" else trouble)


class Kind:
    """SQLite: every home has a file of its own.

    Args:
        place: Where it lies, if not in the home's folder.

    Attributes:
        name: For the table.
    """

    name = "SQLite"

    def __init__(self, place: Path | None = None) -> None:
        self._place = place

    def section(self, folder: Path) -> str:
        """``[store]`` for a new home."""
        return f'[store]\nkind = "sql"\nurl = "{self._url(folder)}"\nretention_days = 0\n'

    def open(self, folder: Path) -> AggregateStore:
        """The store of a home, for reading."""
        return SqlStore(self._url(folder), read_only=True)

    def _url(self, folder: Path) -> str:
        return f"sqlite:///{(self._place or folder) / 'aggregates.db'}"


class InfluxKind(Kind):
    """InfluxDB: every home has a bucket of its own.

    Args:
        server: Where it is.
        url: What the program is told, if there is something in between.
        timeout_seconds: How long the program waits for an answer.
    """

    def __init__(self, server: LiveServer, *, url: str = "", timeout_seconds: float = 10.0) -> None:
        super().__init__()
        self.name = f"InfluxDB {server.major}"
        self.server = server
        self._told = url or server.url
        self._timeout_seconds = timeout_seconds
        self._buckets: dict[Path, str] = {}

    def section(self, folder: Path) -> str:
        self._buckets[folder] = self.server.new_bucket()
        values = {
            "kind": "influxdb",
            "url": self._told,
            "org": self.server.org,
            "token": self.server.token,
            "bucket": self._buckets[folder],
            "timeout_seconds": self._timeout_seconds,
            "retention_days": 0,
        }
        return "[store]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())

    def open(self, folder: Path) -> AggregateStore:
        return InfluxStore(self.server.server(), self._buckets[folder], read_only=True)


@dataclass
class TriedHome:
    """A home in a folder, and what the program is made to do with it.

    Attributes:
        folder: Everything lies here, unless ``ledger`` says otherwise.
        kind: Where its aggregates go.
        source: ``[source]``.
        ledger: Where the ledger lies.
    """

    folder: Path
    kind: Kind
    source: str = SIMULATED
    ledger: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ledger = self.folder / "ledger.db" if self.ledger == Path() else self.ledger
        self.config = self.folder / "config.toml"
        self.log = self.folder / "log"
        head = '[home]\ntime_zone = "Europe/Berlin"\n[health]\nport = 0\n'
        self.config.write_text(
            f'{head}[ledger]\npath = "{self.ledger}"\n{self.source}{self.kind.section(self.folder)}', encoding="utf-8"
        )

    def start(self, *words: str) -> Any:
        """Begin a command."""
        return forked.start(self.config, *words, log=self.log)

    def call(self, *words: str) -> int:
        """A command, to its end. Returns its exit code."""
        return forked.ended(self.start(*words))

    def rows(self) -> Rows:
        """Every row of the store but for when it was computed."""
        with closing(self.kind.open(self.folder)) as store:
            models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
            return {
                model.measurement: [
                    row.model_dump(mode="json", exclude={"computed_at"}) for row in store.read(model, DAYS)
                ]
                for model in models
            }

    def entries(self) -> dict[tuple[dt.date, str], Status]:
        """What the ledger says of each day and detector."""
        with Ledger(self.ledger, clock=now, read_only=True) as ledger:
            return {key: entry.status for key, entry in ledger.entries().items()}

    def held(self) -> set[tuple[dt.date, str]]:
        """Which runs of detectors the store knows."""
        try:
            with closing(self.kind.open(self.folder)) as store:
                return {(run.date, run.detector) for run in store.read(DetectorRunDaily, DAYS)}
        except PatternAggregatesError:
            return set()

    def boasts(self) -> str:
        """What the ledger claims though the store does not hold it; empty if it is honest."""
        more = {key for key, status in self.entries().items() if status is Status.WRITTEN} - self.held()
        return f"the ledger claims {sorted(more)[:3]}, which the store does not hold" if more else ""

    def statuses(self) -> set[str]:
        """All that ``status`` says of days and detectors."""
        answer = self.folder / "status.json"
        answer.unlink(missing_ok=True)
        forked.ended(forked.start(self.config, "status", str(DAYS.first), str(DAYS.last), "--json", log=answer))
        return {cell["status"] for day in json.loads(answer.read_text()) for cell in day["detectors"].values()}

    def differs(self, expected: Rows) -> str:
        """How the finished home differs from what it should be; empty if it does not."""
        found = self.rows()
        for measurement, rows in expected.items():
            if found[measurement] != rows:
                return f"{measurement} differs: {len(found[measurement])} rows instead of {len(rows)}"
        said = self.statuses()
        return "" if said == {"written"} else f"status says {sorted(said)}"

    def last_words(self) -> str:
        """The end of what the program printed."""
        return " ".join(self.log.read_text(encoding="utf-8", errors="replace").split())[-300:]


@dataclass
class Bench:
    """Where faults are tried.

    Attributes:
        folder: For everything.
        seed: Of all that is random.
        kills: How many times a process is killed over SQLite; half as often over InfluxDB.
        kinds: The stores at hand.
    """

    folder: Path
    seed: int
    kills: int
    kinds: list[Kind]
    _number: Iterator[int] = field(default_factory=itertools.count)
    _expected: dict[str, Rows] = field(default_factory=dict)

    def home(self, kind: Kind | None = None, **more: Any) -> TriedHome:
        """A home of which nothing is computed yet."""
        return TriedHome(self.new_folder(), kind or self.kinds[0], **more)

    def new_folder(self) -> Path:
        """A folder that nobody has."""
        folder = self.folder / str(next(self._number))
        folder.mkdir(parents=True)
        return folder

    def influx_kinds(self) -> list[InfluxKind]:
        """The InfluxDB servers among them."""
        return [kind for kind in self.kinds if isinstance(kind, InfluxKind)]

    def until_done(self, home: TriedHome, result: Result, where: object) -> list[int]:
        """Repeat a backfill until it comes through, as exit code 75 asks for. Returns its exit codes."""
        codes: list[int] = []
        while not codes or (codes[-1] == RETRY and len(codes) < MOST_CALLS):
            codes.append(home.call(*BACKFILL))
            result.check(home.boasts(), where)
        if codes[-1]:
            result.check(f"exit code {codes[-1]}: {home.last_words()}", where)
        return codes

    def expected(self, kind: Kind, source: str = SIMULATED) -> Rows:
        """What an undisturbed run gives."""
        key = kind.name + source
        if key not in self._expected:
            undisturbed = self.home(kind, source=source)
            code = undisturbed.call(*BACKFILL)
            assert code == 0, undisturbed.last_words()
            self._expected[key] = undisturbed.rows()
            assert all(self._expected[key].values()) or source != SIMULATED, "all kinds of rows are to be compared"
        return self._expected[key]


Scenario = Callable[[Bench], Iterator[Result]]
