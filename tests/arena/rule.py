"""What a rule is, and how the files with rules are found."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from jobs.activity.events import DayLog
from tests.arena.history import History

RULES: Final = Path(__file__).parent / "rules"


class Alarm(NamedTuple):
    """What a rule says about an entity on a day.

    Attributes:
        entity: The entity, as an index into the history's entities.
        score: The alarm is raised at every threshold up to this one ...
        before: ... and above this one: up to it, it was raised on an earlier day.
        group: Alarms of a day with the same group are one message; an alarm without one is a message of its own.
    """

    entity: int
    score: float
    before: float = -float("inf")
    group: str = ""


class ScoredPair(NamedTuple):
    """What a rule says about two entities on a day.

    Attributes:
        pair: Both ids in ascending order, joined by ``|``.
        score: The pair is found at every threshold up to this one.
    """

    pair: str
    score: float


@dataclass(frozen=True)
class AlarmRule:
    """A rule that finds what is unusual about a day.

    Attributes:
        name: What it is called in tables.
        source: Where the idea is described: a repository, a page, a paper.
        label: Returns a threshold in words, with its unit.
        thresholds: The thresholds to try, the laxest first.
        usual: The one of them that the source uses, or that is otherwise usual.
        judge: Returns alarms for a day, given as an index into the days of the history. It may look at that day and at
            earlier ones, never at later ones.
        needs: A module without which the rule is left out.
    """

    name: str
    source: str
    label: Callable[[float], str]
    thresholds: Sequence[float]
    usual: float
    judge: Callable[[History, int], Iterable[Alarm]]
    needs: str = "numpy"


@dataclass(frozen=True)
class PairRule:
    """A rule that finds what is used together.

    Attributes:
        name: What it is called in tables.
        source: Where the idea is described.
        label: Returns a threshold in words, with its unit.
        thresholds: The thresholds to try, the laxest first.
        usual: The one of them that the source uses.
        find: Returns the pairs of the last of some days.
        needs: A module without which the rule is left out.
    """

    name: str
    source: str
    label: Callable[[float], str]
    thresholds: Sequence[float]
    usual: float
    find: Callable[[Sequence[DayLog]], Iterable[ScoredPair]]
    needs: str = "numpy"


Rule = AlarmRule | PairRule


def find_rules(folders: Sequence[Path] = (RULES,)) -> dict[str, Rule]:
    """Return the rules of all files in some folders, by name of the file.

    Raises:
        TypeError: A file has no ``RULE``.
        ValueError: The thresholds of a rule do not ascend, or the usual one is not among them.
    """
    return {path.stem: _load(path) for path in sorted(_files(folders), key=lambda path: path.stem)}


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _load(path: Path) -> Rule:
    name = f"tests.arena.rules.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file that can be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of the file look it up
    spec.loader.exec_module(module)
    rule = getattr(module, "RULE", None)
    if not isinstance(rule, AlarmRule | PairRule):
        raise TypeError(f"{path} has no RULE that is an AlarmRule or a PairRule")
    if list(rule.thresholds) != sorted(rule.thresholds) or rule.usual not in rule.thresholds:
        raise ValueError(f"{path}: thresholds must ascend, and `usual` must be one of them")
    return rule
