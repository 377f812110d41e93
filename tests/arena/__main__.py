"""Compare rules of different kinds, ours among them, on the same homes: ``python -m tests.arena`` (docs/arena.md)."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.arena.homes import MAKERS, SIZES, Spec, specs
from tests.arena.results import run, usable
from tests.arena.rule import RULES, find_rules
from tests.arena.tables import Tables

BEGIN: Final = "<!-- tables: made by make arena -->"
END: Final = "<!-- end of tables -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, and write them into a document if asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.arena", description=__doc__)
    parser.add_argument("--rule", action="append", metavar="NAME", help="only this rule, by name of its file; repeat")
    parser.add_argument("--group", action="append", choices=list(MAKERS), help="only these homes; repeat")
    parser.add_argument("--home", action="append", metavar="NAME", help='only homes of this name ("Pareto lengths")')
    parser.add_argument("--size", action="append", type=int, help="only homes with so many entities; repeat")
    parser.add_argument("--rules", action="append", type=Path, metavar="FOLDER", help="also the rules in this folder")
    parser.add_argument("--seed", type=int, default=9000, help="seeds below 100 are for tuning")
    parser.add_argument("--repeats", type=int, default=1, help="homes of each kind")
    parser.add_argument("--days", type=int, default=62, help="days to judge in each home; 30 or more")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="replace the tables in this document")
    chosen = parser.parse_args(arguments)
    folders = [RULES, *(chosen.rules or [])]
    rules, notes = usable(find_rules(folders))
    if unknown := set(chosen.rule or []) - rules.keys():
        parser.error(f"not a rule: {', '.join(sorted(unknown))}; there are {', '.join(rules)}")
    homes = [
        spec
        for spec in specs(chosen.seed, chosen.repeats, chosen.days, chosen.size or SIZES, chosen.group or MAKERS)
        if spec.name in (chosen.home or [spec.name])
    ]
    if not homes:
        parser.error("there are no such homes")
    began, names = time.monotonic(), chosen.rule or list(rules)
    progress = _Progress(len(homes))
    results = list(run(homes, names, folders, chosen.workers, progress.count))
    minutes = (time.monotonic() - began) / 60
    command = "make arena" + (f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] and arguments is None else "")
    text = f"`{command}`: {len(homes)} homes, seeds from {chosen.seed} on, {minutes:.0f} minutes.\n\n"
    text += "".join(f"{note}.\n\n" for note in notes) + Tables(rules, results).text()
    sys.stdout.write(text)
    if chosen.write is not None:
        _write(chosen.write, text)
    return 0


class _Progress:
    """Shows on a terminal how many homes are done."""

    def __init__(self, homes: int) -> None:
        self._homes, self._done = homes, 0

    def count(self, spec: Spec) -> None:
        """Count one more home."""
        self._done += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self._done} of {self._homes} homes: {spec.group}, {spec.name}\033[K")
            sys.stderr.write("\n" if self._done == self._homes else "")


def _write(document: Path, tables: str) -> None:
    """Replace what is between the marks of a document."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{document} has no line {BEGIN!r} followed by {END!r}")
    document.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
