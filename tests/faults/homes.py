"""Homes with thirty days of events, the kinds of store they use, and the checks of what ledger and store hold."""

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

from storage.backends.influxdb.two_buckets import open_buckets
from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.errors import PatternAggregatesError
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.periods import rollup_bucket_of
from storage.rollup_models import ROLLUPS
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
EXIT_UNAVAILABLE: Final = 75
MAX_CALLS: Final = 30

Rows = dict[str, list[dict[str, Any]]]


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Result:
    """A line of the table.

    Attributes:
        fault: What was done to the program.
        tries: How often.
        wrong: Every violation.
        seen: What happened, in words.
        seconds: How long it took in all.
    """

    fault: str
    tries: int = 0
    wrong: list[str] = field(default_factory=list)
    seen: str = ""
    seconds: float = 0.0

    def check(self, problem: str, where: object = "") -> None:
        """Add a violation, unless the text is empty."""
        if problem:
            self.wrong.append(f"{where}: {problem}" if where != "" else problem)


class StoreKind:
    """SQLite: every home has a file of its own.

    Args:
        place: The folder of the file; by default the home's.

    Attributes:
        name: The name in the table.
    """

    name = "SQLite"

    def __init__(self, place: Path | None = None) -> None:
        self._place = place

    def section(self, folder: Path) -> str:
        """Return the ``[store]`` section for a new home."""
        return f'[store]\nkind = "sql"\nurl = "{self._url(folder)}"\nretention_days = 0\n'

    def open(self, folder: Path) -> AggregateStore:
        """Open the store of a home for reading."""
        return SqlStore(self._url(folder), read_only=True)

    def _url(self, folder: Path) -> str:
        return f"sqlite:///{(self._place or folder) / 'aggregates.db'}"


class InfluxStoreKind(StoreKind):
    """InfluxDB: every home has a bucket of its own.

    Args:
        server: The real server.
        url: The address in the settings, if it is a proxy's.
        timeout_seconds: How long the program waits for an answer.
    """

    def __init__(self, server: LiveServer, *, url: str = "", timeout_seconds: float = 10.0) -> None:
        super().__init__()
        self.name = f"InfluxDB {server.major}"
        self.server = server
        self._url_in_settings = url or server.url
        self._timeout_seconds = timeout_seconds
        self._buckets: dict[Path, str] = {}

    def section(self, folder: Path) -> str:
        self._buckets[folder] = self.server.new_bucket()
        values = {
            "kind": "influxdb",
            "url": self._url_in_settings,
            "org": self.server.org,
            "token": self.server.token,
            "bucket": self._buckets[folder],
            "timeout_seconds": self._timeout_seconds,
            "retention_days": 0,
        }
        return "[store]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())

    def buckets_of(self, folder: Path) -> tuple[str, str]:
        """Return the bucket of daily rows and that of rollups of a home."""
        return self._buckets[folder], rollup_bucket_of(self._buckets[folder])

    def open(self, folder: Path) -> AggregateStore:
        daily, rollups = ((bucket, 0) for bucket in self.buckets_of(folder))
        return open_buckets(self.server.server(), daily=daily, rollups=rollups, read_only=True)


@dataclass
class HomeUnderTest:
    """A home in a folder, and the commands that are run on it.

    Attributes:
        folder: The folder of all files, perhaps except the ledger.
        kind: The kind of its store.
        source: The ``[source]`` section.
        ledger: The file of the ledger.
    """

    folder: Path
    kind: StoreKind
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
        """Start a command."""
        return forked.start(self.config, *words, log=self.log)

    def call(self, *words: str) -> int:
        """Run a command to its end. Return its exit code."""
        return forked.ended(self.start(*words))

    def rows(self) -> Rows:
        """Return every row of the store, without when it was computed."""
        with closing(self.kind.open(self.folder)) as store:
            models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, *ROLLUPS, DetectorRunDaily)
            return {
                model.measurement: [
                    row.model_dump(mode="json", exclude={"computed_at"}) for row in store.read(model, DAYS)
                ]
                for model in models
            }

    def entries(self) -> dict[tuple[dt.date, str], Status]:
        """Return the status of each day and detector in the ledger."""
        with Ledger(self.ledger, clock=now, read_only=True) as ledger:
            return {key: entry.status for key, entry in ledger.entries().items()}

    def stored_runs(self) -> set[tuple[dt.date, str]]:
        """Return the detector runs that the store has a record of."""
        try:
            with closing(self.kind.open(self.folder)) as store:
                return {(run.date, run.detector) for run in store.read(DetectorRunDaily, DAYS)}
        except PatternAggregatesError:
            return set()

    def false_claims(self) -> str:
        """Return in words what the ledger calls written and the store does not hold; empty if there is nothing."""
        more = {key for key, status in self.entries().items() if status is Status.WRITTEN} - self.stored_runs()
        return f"the ledger claims {sorted(more)[:3]}, which the store does not hold" if more else ""

    def statuses(self) -> set[str]:
        """Return every status that the command ``status`` shows."""
        answer = self.folder / "status.json"
        answer.unlink(missing_ok=True)
        forked.ended(forked.start(self.config, "status", str(DAYS.first), str(DAYS.last), "--json", log=answer))
        text = answer.read_text()
        days = json.loads(text[text.index("[") :])  # what the store has lost is printed before it, as an error
        return {cell["status"] for day in days for cell in day["detectors"].values()}

    def difference(self, expected: Rows) -> str:
        """Return in words how the finished home differs from what it should be; empty if it does not."""
        found = self.rows()
        for measurement, rows in expected.items():
            if found[measurement] != rows:
                return f"{measurement} differs: {len(found[measurement])} rows instead of {len(rows)}"
        statuses = self.statuses()
        return "" if statuses == {"written"} else f"status says {sorted(statuses)}"

    def log_tail(self, length: int = 300) -> str:
        """Return the end of what the program printed."""
        return " ".join(self.log.read_text(encoding="utf-8", errors="replace").split())[-length:]


@dataclass
class Bench:
    """What the faults share: folders, kinds of store, and the rows of undisturbed runs.

    Attributes:
        folder: The folder of all homes.
        seed: The seed of all random choices.
        kills: How often a process is killed over SQLite; half as often over InfluxDB.
        kinds: The kinds of store that can be used here.
    """

    folder: Path
    seed: int
    kills: int
    kinds: list[StoreKind]
    _number: Iterator[int] = field(default_factory=itertools.count)
    _expected: dict[str, Rows] = field(default_factory=dict)

    def home(self, kind: StoreKind | None = None, **more: Any) -> HomeUnderTest:
        """Return a home of which nothing is computed yet."""
        return HomeUnderTest(self.new_folder(), kind or self.kinds[0], **more)

    def new_folder(self) -> Path:
        """Create an empty folder."""
        folder = self.folder / str(next(self._number))
        folder.mkdir(parents=True)
        return folder

    def influx_stores(self) -> list[InfluxStoreKind]:
        """Return the kinds that are InfluxDB servers."""
        return [kind for kind in self.kinds if isinstance(kind, InfluxStoreKind)]

    def until_done(self, home: HomeUnderTest, result: Result, where: object) -> list[int]:
        """Repeat a backfill while it ends with exit code 75. Return its exit codes."""
        codes: list[int] = []
        while not codes or (codes[-1] == EXIT_UNAVAILABLE and len(codes) < MAX_CALLS):
            codes.append(home.call(*BACKFILL))
            result.check(home.false_claims(), where)
        if codes[-1]:
            result.check(f"exit code {codes[-1]}: {home.log_tail()}", where)
        return codes

    def expected(self, kind: StoreKind, source: str = SIMULATED) -> Rows:
        """Return the rows of an undisturbed run."""
        key = kind.name + source
        if key not in self._expected:
            undisturbed = self.home(kind, source=source)
            code = undisturbed.call(*BACKFILL)
            assert code == 0, undisturbed.log_tail()
            self._expected[key] = undisturbed.rows()
            is_complete = all(self._expected[key][model.measurement] for model in AGGREGATES)
            assert is_complete or source != SIMULATED, "a kind of row is missing, so it would not be compared"
        return self._expected[key]


Scenario = Callable[[Bench], Iterator[Result]]
