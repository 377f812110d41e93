"""A full disk, and a ledger that is truncated, read-only or deleted."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.homes import BACKFILL, EXIT_UNAVAILABLE, Bench, HomeUnderTest, Result, StoreKind

TRIES = 6
DISK_BYTES = 12_000_000
EXIT_DAMAGED = 1
EXIT_SETTINGS = 78


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system in a folder until the block ends. Yield whether this user may do so."""
    done = _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder))
    yield done
    if done:
        _run("umount", "--lazy", str(folder))


@contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Make a folder read-only until the block ends. Yield whether this user may do so."""
    done = _run("mount", "--bind", str(folder), str(folder)) and _run("mount", "-o", "remount,ro,bind", str(folder))
    yield done
    _run("umount", str(folder))


def full_disk(bench: Bench) -> Iterator[Result]:
    """Let the disk run full during a backfill, then free some space."""
    for name in ("ledger", "store"):
        result, rng = Result(f"disk full under the {name}"), random.Random(f"{bench.seed} {name}")
        codes = []
        for number in range(TRIES):
            disk = bench.new_folder()
            with small_disk(disk) as mounted:
                if not mounted:
                    result.seen = "left out: no right to mount a small file system"
                    break
                home = bench.home(ledger=disk / "ledger.db") if name == "ledger" else bench.home(StoreKind(disk))
                filler = disk / "filler"
                filler.write_bytes(bytes(DISK_BYTES - rng.randrange(20_000, 400_000)))
                codes.append(home.call(*BACKFILL))
                result.tries += 1
                filler.unlink()
                result.check(
                    "" if codes[-1] in (0, EXIT_UNAVAILABLE) else f"exit code {codes[-1]}: {home.log_tail()}", number
                )
                result.check(home.false_claims(), number)
                bench.until_done(home, result, number)
                result.check(home.difference(bench.expected(home.kind)), number)
        result.seen = result.seen or f"exit code {EXIT_UNAVAILABLE} {codes.count(EXIT_UNAVAILABLE)} times, then 0"
        yield result


def damaged_ledger(bench: Bench) -> Iterator[Result]:
    """Truncate the ledger, make it read-only or delete it, during a backfill and after it."""
    yield _truncated(bench)
    yield _read_only(bench)
    yield _deleted(bench, "the ledger deleted, with its log left", lambda home: home.ledger.unlink())
    yield _deleted(bench, "the ledger deleted, and its log", _delete_all)


def _begun(bench: Bench, rng: random.Random, number: int) -> HomeUnderTest:
    """Return a home in the middle of a backfill or, every second time, after it."""
    home = bench.home()
    min_runs = rng.randrange(20, 120)  # days and detectors, of 180
    process = home.start(*BACKFILL)
    if number % 2:
        process.join()
    while process.exitcode is None and len(home.stored_runs()) < min_runs:
        process.join(0.02)
    process.kill()
    process.join()
    return home


def _truncated(bench: Bench) -> Result:
    result, rng = Result("the ledger truncated at a random place"), random.Random(f"{bench.seed} cut")
    codes = []
    for number in range(2 * TRIES):
        home = _begun(bench, rng, number)
        for beside in ("-wal", "-shm"):
            home.ledger.with_name(home.ledger.name + beside).unlink(missing_ok=True)
        content = home.ledger.read_bytes()
        home.ledger.write_bytes(content[: rng.randrange(len(content) + 1)])
        codes.append(home.call(*BACKFILL))
        result.tries += 1
        if codes[-1]:
            result.check("" if codes[-1] == EXIT_DAMAGED and "damaged" in home.log_tail() else home.log_tail(), number)
            home.ledger.unlink()  # as the message asks, there is no backup
            bench.until_done(home, result, number)
        result.check(home.difference(bench.expected(home.kind)), number)
    result.seen = (
        f"{codes.count(EXIT_DAMAGED)} times reported as damaged, exit code {EXIT_DAMAGED}; moved away, then exit code 0"
    )
    return result


def _read_only(bench: Bench) -> Result:
    result, rng = Result("the ledger read-only"), random.Random(f"{bench.seed} shut")
    codes = []
    for number in range(TRIES):
        ledger_folder = bench.new_folder()
        home = bench.home(ledger=ledger_folder / "ledger.db")
        process = home.start(*BACKFILL)
        process.join(rng.uniform(0.2, 1.0) if number % 2 else None)
        process.kill()
        process.join()
        with read_only(ledger_folder) as mounted:
            if not mounted:
                result.seen = "left out: no right to mount a folder"
                break
            codes.append(home.call(*BACKFILL))
            result.tries += 1
            result.check("" if codes[-1] == EXIT_SETTINGS else f"exit code {codes[-1]}: {home.log_tail()}", number)
            result.check("" if str(ledger_folder) in home.log_tail() else "the folder is not named", number)
        bench.until_done(home, result, number)
        result.check(home.difference(bench.expected(home.kind)), number)
    result.seen = (
        result.seen or f"exit code {EXIT_SETTINGS} {codes.count(EXIT_SETTINGS)} times, the folder named; then 0"
    )
    return result


def _deleted(bench: Bench, fault: str, delete: Callable[[HomeUnderTest], None]) -> Result:
    result, rng = Result(fault), random.Random(f"{bench.seed} {fault}")
    for number in range(TRIES):
        home = _begun(bench, rng, number)
        delete(home)
        result.tries += 1
        bench.until_done(home, result, number)
        result.check(home.difference(bench.expected(home.kind)), number)
    result.seen = "rebuilt from the store, which is of the same home; exit code 0"
    return result


def _delete_all(home: HomeUnderTest) -> None:
    for file in home.ledger.parent.glob(home.ledger.name + "*"):
        file.unlink()


def _run(program: str, *words: str) -> bool:
    found = shutil.which(program)
    return found is not None and subprocess.run([found, *words], check=False, capture_output=True).returncode == 0
