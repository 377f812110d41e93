"""Disturb the real job in many ways, and print a table of the results: ``python -m tests.faults``.

After each fault the store must equal that of an undisturbed run, row by row except for when a row was computed; exit
codes and ``status`` must be true. Random choices follow from ``--seed``; the machine's own timing does not.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.faults.concurrent_programs import concurrent_programs, locked_source
from tests.faults.deliberate_damage import deliberate_damage
from tests.faults.endless_input import endless_input
from tests.faults.file_faults import damaged_ledger, full_disk
from tests.faults.foreign_files import foreign_files
from tests.faults.homes import Bench, InfluxStoreKind, Scenario, StoreKind
from tests.faults.hostile_detectors import hostile_detectors
from tests.faults.hostile_input import hostile_input
from tests.faults.kills import kills
from tests.faults.other_homes import other_homes
from tests.faults.sql_servers import sql_servers
from tests.faults.store_faults import bad_answers, down_at_night
from tests.support.influxdb import Influxd, find_binary

SCENARIOS: dict[str, Scenario] = {
    "deliberate_damage": deliberate_damage,
    "kills": kills,
    "bad_answers": bad_answers,
    "down_at_night": down_at_night,
    "full_disk": full_disk,
    "damaged_ledger": damaged_ledger,
    "concurrent_programs": concurrent_programs,
    "locked_source": locked_source,
    "other_homes": other_homes,
    "sql_servers": sql_servers,
    "foreign_files": foreign_files,
    "hostile_detectors": hostile_detectors,
    "hostile_input": hostile_input,
    "endless_input": endless_input,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[*SCENARIOS, []], help="which faults; by default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="how many over SQLite; half as many over InfluxDB")
    parser.add_argument("--only-sqlite", action="store_true", help="leave out InfluxDB")
    chosen = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())  # each home has a log of its own
    wrong = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults") as name, ExitStack() as stack:
        folder = Path(name)
        kinds = [] if chosen.only_sqlite else _start_influx_stores(folder, stack)
        bench = Bench(folder, chosen.seed, chosen.kills, [StoreKind(), *kinds])
        _print("fault", "tries", "wrong", "what was seen", "seconds")
        _print(*5 * ["---"])
        for fault in chosen.faults or SCENARIOS:
            started = time.monotonic()
            for result in SCENARIOS[fault](bench):
                result.seconds, started = time.monotonic() - started, time.monotonic()
                _print(result.fault, result.tries, len(result.wrong), result.seen, f"{result.seconds:.0f}")
                for problem in result.wrong[:5]:
                    sys.stderr.write(f"  wrong: {problem}\n")
                wrong += len(result.wrong)
    sys.stdout.write(f"\n{wrong} wrong, {time.monotonic() - began:.0f} s, seed {chosen.seed}\n")
    return int(wrong > 0)


def _start_influx_stores(folder: Path, stack: ExitStack) -> list[StoreKind]:
    """Start a server of each version that is on PATH."""
    kinds: list[StoreKind] = []
    for major in ("1", "2"):
        binary = find_binary(major)
        if binary is None:
            sys.stderr.write(f"left out: no influxd {major}.x on PATH\n")
            continue
        (folder / f"influxdb{major}").mkdir()
        process = Influxd(binary, major, folder / f"influxdb{major}")
        stack.callback(process.stop)
        kinds.append(InfluxStoreKind(process.start()))
    return kinds


def _print(*cells: object) -> None:
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
