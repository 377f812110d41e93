"""Detectors of another package that end the program, loop, print, take memory or return what is not valid."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.faults.homes import BACKFILL, Bench, Result
from tests.support.packages import write_package

SOURCE: Final = """
import os, re, sys, time
from dataclasses import dataclass
from typing import ClassVar
from jobs.detector import Finding, detector
from storage.models import DailyAggregate, Tag

class HostileDaily(DailyAggregate):
    measurement: ClassVar[str] = "hostile_daily"
    entity_id: Tag
    number: int

@detector
@dataclass(frozen=True)
class Hostile:
    name: ClassVar[str] = "hostile"
    version: ClassVar[int] = 1
    model: ClassVar[type[DailyAggregate]] = HostileDaily

    def detect(self, log):
        {act}
        return Finding([], "done")
"""
ACTS: Final = {
    "sys.exit(0)": (1, "sys.exit(0)"),
    "KeyboardInterrupt in its own code": (130, "raise KeyboardInterrupt"),
    "recursion without end": (1, "return self.detect(log)"),
    "no memory": (1, "raise MemoryError"),
    "text on standard output": (0, "print('{')"),
    "writing into the day's arrays": (1, "log.events.at[:] = 0"),
    "rows that are not valid": (1, "return Finding([HostileDaily.model_construct(None, entity_id=1, number='b')], '')"),
    "rows of another day": (1, "return Finding([HostileDaily(date='2020-01-01', entity_id='a', number=1)], '')"),
    "an endless loop": (75, "while True: pass"),
    "an endless sleep": (75, "time.sleep(10**6)"),
    "an endless regular expression": (75, "re.match('(a+)+$', 'a' * 80 + 'b')"),
    "os._exit(0)": (1, "os._exit(0)"),
}
AT_IMPORT: Final = {
    "an endless loop at import": "while True: pass",
    "an endless sleep at import": "time.sleep(10**6)",
    "sys.exit(0) at import": "sys.exit(0)",
}
EXIT_SETTINGS: Final = 78
SHORT: Final = "[schedule]\nmax_day_minutes = 0.5\n"


def hostile_detectors(bench: Bench) -> Iterator[Result]:
    """Run a backfill with each of them, then one without."""
    result, codes = Result("a detector of another package that does harm"), Counter[int]()
    expected = bench.expected(bench.kinds[0])
    for name, (code, act) in ACTS.items():
        home = bench.home()
        home.config.write_text(SHORT + home.config.read_text(encoding="utf-8"), encoding="utf-8")
        with _installed(bench.new_folder(), SOURCE.replace("{act}", act)):
            codes[found := home.call(*BACKFILL)] += 1
            result.check("" if found == code else f"exit code {found}: {home.log_tail()}", name)
        result.check(home.false_claims() if home.ledger.exists() else "", name)
        afterwards = home.call(*BACKFILL)
        result.tries += 1
        result.check("" if afterwards == 0 else f"exit code {afterwards} afterwards: {home.log_tail()}", name)
        rows = home.rows()
        rows["detector_run_daily"] = [row for row in rows["detector_run_daily"] if row["detector"] != "hostile"]
        different = [measurement for measurement, of in expected.items() if rows[measurement] != of]
        result.check(f"rows of other detectors differ: {different}" if different else "", name)
    for name, act in AT_IMPORT.items():
        home = bench.home()
        with _installed(bench.new_folder(), f"import sys, time\n{act}\n"):
            codes[found := home.call(*BACKFILL)] += 1
        named = "visitors" in home.log_tail(10_000)
        result.check("" if found == EXIT_SETTINGS and named else f"exit code {found}: {home.log_tail()}", name)
        result.tries += 1
        bench.until_done(home, result, name)
        result.check(home.difference(expected), name)
    result.seen = ", ".join(f"exit code {code} {count} times" for code, count in sorted(codes.items())) + ", then 0"
    yield result


@contextmanager
def _installed(folder: Path, source: str) -> Iterator[None]:
    """Install a package of detectors for the processes that are started meanwhile."""
    place = write_package(folder, source, "Hostile")
    sys.path.insert(0, str(place))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(place))
        importlib.invalidate_caches()
        shutil.rmtree(place)
