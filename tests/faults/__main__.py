"""Disturbs the real job in every way there is, and prints what came of it, as a table: ``python -m tests.faults``.

After each fault the store must equal that of an undisturbed run, row by row but for when a row was computed; exit codes
and ``status`` must be true. What is random follows from ``--seed``, but for the machine's own pace.
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

from tests.faults.homes import Bench, InfluxKind, Kind, Scenario
from tests.faults.killed import killed
from tests.faults.noticed import noticed
from tests.faults.others import locked_source, together
from tests.faults.troubled_files import full_disk, troubled_ledger
from tests.faults.troubled_stores import bad_answers, down_at_night
from tests.support.influxdb import Influxd, find_binary

SCENARIOS: dict[str, Scenario] = {
    "noticed": noticed,
    "killed": killed,
    "bad_answers": bad_answers,
    "down_at_night": down_at_night,
    "full_disk": full_disk,
    "troubled_ledger": troubled_ledger,
    "together": together,
    "locked_source": locked_source,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[*SCENARIOS, []], help="which; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="moments over SQLite; half as many over InfluxDB")
    parser.add_argument("--only-sqlite", action="store_true", help="no InfluxDB")
    chosen = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())  # what the job says goes to each home's log
    wrong = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults") as name, ExitStack() as stack:
        folder = Path(name)
        kinds = [] if chosen.only_sqlite else _influx_kinds(folder, stack)
        bench = Bench(folder, chosen.seed, chosen.kills, [Kind(), *kinds])
        _print("fault", "tries", "wrong", "what was seen", "seconds")
        _print(*5 * ["---"])
        for fault in chosen.faults or SCENARIOS:
            started = time.monotonic()
            for result in SCENARIOS[fault](bench):
                result.seconds, started = time.monotonic() - started, time.monotonic()
                _print(result.fault, result.tries, len(result.wrong), result.seen, f"{result.seconds:.0f}")
                for what in result.wrong[:5]:
                    sys.stderr.write(f"  wrong: {what}\n")
                wrong += len(result.wrong)
    sys.stdout.write(f"\n{wrong} wrong, {time.monotonic() - began:.0f} s, seed {chosen.seed}\n")
    return int(wrong > 0)


def _influx_kinds(folder: Path, stack: ExitStack) -> list[Kind]:
    """A server of each version that is on PATH."""
    kinds: list[Kind] = []
    for major in ("1", "2"):
        binary = find_binary(major)
        if binary is None:
            sys.stderr.write(f"not here: an influxd {major}.x on PATH; nothing is tried on it\n")
            continue
        (folder / f"influxdb{major}").mkdir()
        process = Influxd(binary, major, folder / f"influxdb{major}")
        stack.callback(process.stop)
        kinds.append(InfluxKind(process.start()))
    return kinds


def _print(*cells: object) -> None:
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
