"""The results as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.arena.homes import PAIRS
from tests.arena.results import Result
from tests.arena.rule import Rule
from tests.arena.scoring import Interval, Score, Scores, affordable, pooled, share

KINDS: Final = {
    "jump, 8 and more": "jump, 8 a day and more",
    "jump, 4 to 8": "jump, 4 to 8",
    "jump, under 4 a day": "jump, under 4",
    "dead": "dead sensor",
    "long": "on for 12 to 13 h",
    "still_on": "open or on at midnight",
    "night_door": "a door at night",
    "burglar": "burglar while away",
}
PAIR_KINDS: Final = {name: name for name in (f"{repeats} a day, {lag} s" for repeats, lag in PAIRS)}
AFFORDABLE: Final = 1.0  # false alarms a week


@dataclass(frozen=True)
class Tables:
    """Makes tables of results.

    Attributes:
        rules: The rules, by name of their files.
        results: What they found in each home.
    """

    rules: Mapping[str, Rule]
    results: Sequence[Result]

    def text(self) -> str:
        """Return all tables of which there are results."""
        return "\n\n".join("\n".join(lines) for lines in self._all() if lines) + "\n"

    def _all(self) -> Iterator[list[str]]:
        lived = {name: self._pooled(name, "lived") for name in self._of("lived")}
        if lived:
            yield ["### What is planted into homes in which people live"]
            yield [f"Each rule at the threshold that its source uses. {_amount(lived)}"]
            usual = {name: self.rules[name].usual for name in lived}
            yield self._recall(lived, usual, KINDS)
            yield ["The same at the laxest threshold with at most one false alarm a week, over all these homes:"]
            cheap = {name: affordable(scores, AFFORDABLE) for name, scores in lived.items()}
            yield self._recall(lived, cheap, KINDS)
            yield ["### False alarms a week, by kind of home"]
            yield ["At the threshold that its source uses. In real homes nobody knows what is false: all alarms count."]
            yield self._by_home(list(lived), usual)
            yield ["The same at the laxest threshold of above:"]
            yield self._by_home(list(lived), cheap)
            yield ["### Every threshold"]
            yield self._curve(lived)
        yield from self._pairs()

    def _pairs(self) -> Iterator[list[str]]:
        groups = "pairs", "pairs in noise", "pairs in shuffled days"
        names = list(dict.fromkeys(name for group in groups for name in self._of(group)))
        if not names:
            return
        yield ["### Pairs"]
        chosen: dict[str, float | None] = {name: self.rules[name].usual for name in names}
        if pairs := {name: self._pooled(name, "pairs") for name in self._of("pairs")}:
            yield [f"Each rule at the threshold that its source uses; each pair counts on each day. {_amount(pairs)}"]
            yield self._recall(pairs, chosen, PAIR_KINDS, "false pairs a week")
            yield ["The same at the laxest threshold with at most one false pair a week in homes with planted pairs:"]
            chosen = {name: affordable(scores, AFFORDABLE) for name, scores in pairs.items()}
            yield self._recall(pairs, chosen, PAIR_KINDS, "false pairs a week")
        yield ["False pairs a week, by kind of home, at that threshold:"]
        yield self._by_home(names, chosen, groups)

    def _of(self, group: str) -> list[str]:
        """Return the rules with results in a group, ours first."""
        names = {name for result in self.results if result.spec.group == group for name in result.scores}
        return sorted(names, key=lambda name: ("ours" not in self.rules[name].name, self.rules[name].name))

    def _pooled(self, name: str, group: str, where: Callable[[Result], bool] = lambda _result: True) -> Scores:
        chosen = (result for result in self.results if result.spec.group == group and where(result))
        return pooled([result.scores[name] for result in chosen if name in result.scores])

    def _recall(
        self,
        scores: Mapping[str, Scores],
        thresholds: Mapping[str, float | None],
        kinds: Mapping[str, str],
        false: str = "false alarms a week",
    ) -> list[str]:
        """Return a table with a row for each rule: what it found of each kind."""
        with_messages = kinds is KINDS

        def rows() -> Iterator[list[str]]:
            for name, of_rule in scores.items():
                threshold = thresholds[name]
                if threshold is None:
                    yield [self.rules[name].name, "none", *[""] * (len(kinds) + 2 + with_messages)]
                    continue
                score = of_rule[threshold]
                found = (_shown(score.recall(kind)) for kind in kinds)
                figures = [_shown(score.false_a_week), _shown(score.precision), *found]
                if with_messages:
                    figures.insert(1, _shown(score.false_messages_a_week))
                yield [self.rules[name].name, self.rules[name].label(threshold), *figures]

        messages = ["false messages a week"] if with_messages else []
        return _table(["rule", "threshold", false, *messages, "precision", *kinds.values()], rows())

    def _by_home(
        self,
        names: Sequence[str],
        thresholds: Mapping[str, float | None],
        groups: Sequence[str] = ("lived", "noise", "shuffled", "real"),
    ) -> list[str]:
        """Return a table with a row for each kind of home: the false alarms a week of each rule."""

        def row(title: str, scores: Sequence[Scores]) -> list[str]:
            figures = []
            for name, of_rule in zip(names, scores, strict=True):
                threshold = thresholds[name]
                score = None if threshold is None else of_rule.get(threshold)
                figures.append("" if score is None else _shown(score.false_a_week))
            return [title, *figures]

        def rows() -> Iterator[list[str]]:
            sizes = sorted({result.spec.entities for result in self.results if result.spec.group == "lived"})
            for size in sizes if groups[0] == "lived" else []:
                of_size = [self._pooled(name, "lived", lambda r, size=size: r.spec.entities == size) for name in names]  # type: ignore[misc]
                yield row(f"lived in, {size} entities", of_size)
            for group in groups:
                for kind in dict.fromkeys(result.spec.name for result in self.results if result.spec.group == group):
                    of_kind = [self._pooled(name, group, lambda r, kind=kind: r.spec.name == kind) for name in names]  # type: ignore[misc]
                    yield row(f"{'lived in' if group == 'lived' else group}: {kind}", of_kind)

        return _table(["home", *(self.rules[name].name for name in names)], rows())

    def _curve(self, scores: Mapping[str, Scores]) -> list[str]:
        """Return a table with a row for each rule and threshold."""

        def rows() -> Iterator[list[str]]:
            for name, of_rule in scores.items():
                for threshold, score in of_rule.items():
                    recall = share(score.hits.total(), score.planted.total())
                    figures = _shown(score.false_a_week), _shown(score.precision), _shown(recall)
                    yield [self.rules[name].name, self.rules[name].label(threshold), *figures]

        return _table(["rule", "threshold", "false alarms a week", "precision", "recall of all kinds"], rows())


def _amount(scores: Mapping[str, Scores]) -> str:
    """Return how much the figures rest on, in words."""
    score = next(iter(next(iter(scores.values())).values()), Score())
    return f"{score.days:,} days were judged, with {score.planted.total():,} planted in all."


def _shown(interval: Interval | None) -> str:
    """Return a figure with its interval in brackets; empty if there is none."""
    if interval is None:
        return ""
    digits = 2 if interval.value < 10 else 0
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]
