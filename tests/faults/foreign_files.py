"""Files of other programs, and things that are not files, in the place of store, ledger, lock or settings."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.faults.homes import BACKFILL, Bench, Result

COMMANDS: Final = (BACKFILL, ("init",), ("status",), ("doctor",), ("health",))
REFUSALS: Final = (1, 2, 75, 78)


def _database(file: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA application_id = {rng.choice([0, 0, 252006675])}")
        connection.execute("CREATE TABLE states (state_id INTEGER, state TEXT)")
        connection.executemany("INSERT INTO states VALUES (?, 'on')", [(one,) for one in range(rng.randrange(100))])
        connection.commit()


def _link(file: Path, rng: random.Random) -> None:
    _database(file.with_name("theirs.db"), rng)
    file.symlink_to("theirs.db")


FILES: Final[dict[str, Callable[[Path, random.Random], object]]] = {
    "a database": _database,
    "a text": lambda file, _rng: file.write_text("not ours\n" * 100, encoding="utf-8"),
    "random bytes": lambda file, rng: file.write_bytes(rng.randbytes(rng.randrange(1, 9000))),
    "half a database": lambda file, rng: file.write_bytes(b"SQLite format 3\0" + rng.randbytes(2000)),
    "a folder": lambda file, _rng: file.mkdir(),
    "a pipe": lambda file, _rng: os.mkfifo(file),
    "a device": lambda file, _rng: file.symlink_to("/dev/zero"),
    "a link to somebody else's file": _link,
}


def foreign_files(bench: Bench) -> Iterator[Result]:
    """Put something in the place of store or ledger, and call every command."""
    for place in ("aggregates.db", "ledger.db"):
        result, codes = Result(f"something else in the place of {place}"), Counter[int]()
        for kind, make in FILES.items():
            home = bench.home()
            file = home.folder / place
            make(file, random.Random(f"{bench.seed} {place} {kind}"))
            before = _contents(home.folder)
            for words in COMMANDS:
                codes[code := home.call(*words)] += 1
                result.tries += 1
                is_right = code in REFUSALS or (
                    words == ("status",) and place != "ledger.db"
                )  # it reads the ledger alone
                result.check("" if is_right else f"exit code {code}: {home.log_tail()}", (kind, words[0]))
                log = home.log.read_text(encoding="utf-8", errors="replace")
                result.check("a traceback" if "Traceback" in log else "", (kind, words[0]))
                after = _contents(home.folder)
                changed = [name for name, what in before.items() if after.get(name) != what]
                result.check(f"changed: {changed}" if changed else "", (kind, words[0]))
        result.seen = "unchanged; " + ", ".join(
            f"exit code {code} {count} times" for code, count in sorted(codes.items())
        )
        yield result


def _contents(folder: Path) -> dict[str, object]:
    """Return the bytes of each regular file of others, and the kind of whatever else there is."""
    own = ("config.toml", "log", "status.json")
    return {
        file.name: file.read_bytes() if file.is_file() and not file.is_symlink() else file.lstat().st_mode
        for file in folder.iterdir()
        if file.name not in own
    }
