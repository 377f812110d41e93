"""A disk that is full, and a ledger that is cut short, shut, or gone."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.homes import BACKFILL, RETRY, Bench, Kind, Result, TriedHome

TRIES = 6
ROOM = 12_000_000
DAMAGED = 1
SETTINGS = 78


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own in a folder, as long as the block lasts. Says whether that could be had."""
    done = _run("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder))
    yield done
    if done:
        _run("umount", "--lazy", str(folder))


@contextmanager
def shut(folder: Path) -> Iterator[bool]:
    """A folder that nobody can write to, as long as the block lasts. Says whether that could be had."""
    done = _run("mount", "--bind", str(folder), str(folder)) and _run("mount", "-o", "remount,ro,bind", str(folder))
    yield done
    _run("umount", str(folder))


def full_disk(bench: Bench) -> Iterator[Result]:
    """Room runs out somewhere in a backfill; then there is some again."""
    for name in ("ledger", "store"):
        result, rng = Result(f"disk full under the {name}"), random.Random(f"{bench.seed} {name}")
        codes = []
        for number in range(TRIES):
            disk = bench.new_folder()
            with small_disk(disk) as mounted:
                if not mounted:
                    result.seen = "not here: the right to mount a small file system"
                    break
                home = bench.home(ledger=disk / "ledger.db") if name == "ledger" else bench.home(Kind(disk))
                filler = disk / "filler"
                filler.write_bytes(bytes(ROOM - rng.randrange(20_000, 400_000)))
                codes.append(home.call(*BACKFILL))
                result.tries += 1
                filler.unlink()
                result.check("" if codes[-1] in (0, RETRY) else f"exit code {codes[-1]}: {home.last_words()}", number)
                result.check(home.boasts(), number)
                bench.until_done(home, result, number)
                result.check(home.differs(bench.expected(home.kind)), number)
        result.seen = result.seen or f"exit code {RETRY} {codes.count(RETRY)} times, then 0"
        yield result


def troubled_ledger(bench: Bench) -> Iterator[Result]:
    """The ledger is cut short, shut or taken away, in the middle of a backfill and after it."""
    yield _cut_short(bench)
    yield _read_only(bench)
    yield _deleted(bench, "the ledger deleted, with its log left", lambda home: home.ledger.unlink())
    yield _deleted(bench, "the ledger deleted, and its log", _delete_all)


def _half_done(bench: Bench, rng: random.Random, number: int) -> TriedHome:
    """A home in the middle of a backfill, or after it: each second try."""
    home = bench.home()
    enough = rng.randrange(20, 120)  # days and detectors, of 180
    process = home.start(*BACKFILL)
    if number % 2:
        process.join()
    while process.exitcode is None and len(home.held()) < enough:
        process.join(0.02)
    process.kill()
    process.join()
    return home


def _cut_short(bench: Bench) -> Result:
    result, rng = Result("the ledger truncated at a random place"), random.Random(f"{bench.seed} cut")
    codes = []
    for number in range(2 * TRIES):
        home = _half_done(bench, rng, number)
        for beside in ("-wal", "-shm"):
            home.ledger.with_name(home.ledger.name + beside).unlink(missing_ok=True)
        content = home.ledger.read_bytes()
        home.ledger.write_bytes(content[: rng.randrange(len(content) + 1)])
        codes.append(home.call(*BACKFILL))
        result.tries += 1
        if codes[-1]:
            result.check("" if codes[-1] == DAMAGED and "damaged" in home.last_words() else home.last_words(), number)
            home.ledger.unlink()  # what the message asks for, where there is no backup
            bench.until_done(home, result, number)
        result.check(home.differs(bench.expected(home.kind)), number)
    result.seen = f"{codes.count(DAMAGED)} times told to be damaged, exit code {DAMAGED}; taken away, then exit code 0"
    return result


def _read_only(bench: Bench) -> Result:
    result, rng = Result("the ledger read-only"), random.Random(f"{bench.seed} shut")
    codes = []
    for number in range(TRIES):
        books = bench.new_folder()
        home = bench.home(ledger=books / "ledger.db")
        process = home.start(*BACKFILL)
        process.join(rng.uniform(0.2, 1.0) if number % 2 else None)
        process.kill()
        process.join()
        with shut(books) as mounted:
            if not mounted:
                result.seen = "not here: the right to mount a folder"
                break
            codes.append(home.call(*BACKFILL))
            result.tries += 1
            result.check("" if codes[-1] == SETTINGS else f"exit code {codes[-1]}: {home.last_words()}", number)
            result.check("" if str(books) in home.last_words() else "the folder is not named", number)
        bench.until_done(home, result, number)
        result.check(home.differs(bench.expected(home.kind)), number)
    result.seen = result.seen or f"exit code {SETTINGS} {codes.count(SETTINGS)} times, the folder named; then 0"
    return result


def _deleted(bench: Bench, fault: str, delete: Callable[[TriedHome], None]) -> Result:
    result, rng = Result(fault), random.Random(f"{bench.seed} {fault}")
    for number in range(TRIES):
        home = _half_done(bench, rng, number)
        delete(home)
        result.tries += 1
        bench.until_done(home, result, number)
        result.check(home.differs(bench.expected(home.kind)), number)
    result.seen = "all computed again, exit code 0"
    return result


def _delete_all(home: TriedHome) -> None:
    for file in home.ledger.parent.glob(home.ledger.name + "*"):
        file.unlink()


def _run(program: str, *words: str) -> bool:
    found = shutil.which(program)
    return found is not None and subprocess.run([found, *words], check=False, capture_output=True).returncode == 0
