"""Run rules on homes, several homes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tests.arena.homes import Spec, Trial
from tests.arena.rule import RULES, AlarmRule, PairRule, Rule, find_rules
from tests.arena.scoring import Scores, score_alarms, score_pairs


class Result(NamedTuple):
    """What the rules found in one home: their scores, by name of the rule's file."""

    spec: Spec
    scores: dict[str, Scores]


def usable(rules: dict[str, Rule]) -> tuple[dict[str, Rule], list[str]]:
    """Return the rules whose libraries are installed, and a sentence about each other one."""
    found = {name: rule for name, rule in rules.items() if find_spec(rule.needs) is not None}
    notes = [
        f"{name} was left out: it needs {rule.needs} (pip install '.[arena]')"
        for name, rule in rules.items()
        if name not in found
    ]
    return found, notes


def run(
    specs: Sequence[Spec],
    names: Sequence[str],
    folders: Sequence[Path] = (RULES,),
    workers: int = 1,
    progress: Callable[[Spec], None] = lambda _spec: None,
) -> Iterator[Result]:
    """Yield the result of each home, in the order of the specs.

    Args:
        specs: The homes.
        names: The rules, by name of their files.
        folders: Where the files are.
        workers: The number of processes; with 1, this one.
        progress: Called after each home.
    """
    score = partial(_score, names=tuple(names), folders=tuple(folders))
    if workers == 1:
        for spec in specs:
            yield score(spec)
            progress(spec)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for result in pool.map(score, specs):
            yield result
            progress(result.spec)


def _score(spec: Spec, names: tuple[str, ...], folders: tuple[Path, ...]) -> Result:
    rules, trial = _rules(folders), spec.make()
    scores: dict[str, Scores] = {}
    for name in names:
        rule = rules[name]
        if isinstance(trial, Trial) and isinstance(rule, AlarmRule):
            scores[name] = score_alarms(rule, trial)
        elif not isinstance(trial, Trial) and isinstance(rule, PairRule):
            scores[name] = score_pairs(rule, trial)
    return Result(spec, scores)


@cache
def _rules(folders: tuple[Path, ...]) -> dict[str, Rule]:
    return find_rules(folders)
