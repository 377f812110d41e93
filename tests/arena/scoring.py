"""How often a rule finds what was planted, and how often it is wrong, each with an interval of 95 %."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scipy.stats import binomtest, chi2

from storage.dates import DateRange
from tests.arena.homes import PairTrial, Trial
from tests.arena.rule import AlarmRule, PairRule
from tests.support.homes.planting import Planted

_DAYS_UNTIL_DEAD = 2  # a dead sensor is found if it is reported on its first silent day or the two after it


class Interval(NamedTuple):
    """A figure with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def share(hits: int, of: int) -> Interval | None:
    """Return a share with its Wilson interval; None of nothing."""
    if not of:
        return None
    bounds = binomtest(hits, of).proportion_ci(method="wilson")
    return Interval(hits / of, float(bounds.low), float(bounds.high))


def weekly(count: int, days: int) -> Interval | None:
    """Return a number a week with the exact interval of a Poisson count (Garwood 1936); None of no days."""
    if not days:
        return None
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return Interval(count / days * 7, low / days * 7, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / days * 7)


@dataclass
class Score:
    """What a rule found at one threshold; scores of several homes add up.

    Attributes:
        days: The judged days.
        hits: How many planted things of each kind were found.
        planted: How many there were.
        right: How many alarms were about something planted: of an entity on a day, or of a pair on a day.
        false: How many were not.
        false_messages: How many messages there were in which no alarm was right.
    """

    days: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)
    right: int = 0
    false: int = 0
    false_messages: int = 0

    def add(self, other: Score) -> None:
        """Add what was found in another home."""
        self.days += other.days
        self.hits += other.hits
        self.planted += other.planted
        self.right += other.right
        self.false += other.false
        self.false_messages += other.false_messages

    def recall(self, kind: str) -> Interval | None:
        """Return the share that was found of a kind."""
        return share(self.hits[kind], self.planted[kind])

    @property
    def precision(self) -> Interval | None:
        """The share of the alarms that were about something planted."""
        return share(self.right, self.right + self.false)

    @property
    def false_a_week(self) -> Interval | None:
        """The false alarms a week in one home."""
        return weekly(self.false, self.days)

    @property
    def false_messages_a_week(self) -> Interval | None:
        """The false messages a week in one home."""
        return weekly(self.false_messages, self.days)


Scores = dict[float, Score]  # by threshold


def score_alarms(rule: AlarmRule, trial: Trial) -> Scores:
    """Return the scores of a rule in a home, by threshold."""
    days = range(trial.first, len(trial.history.days))
    alarms = [(alarm, day) for day in days for alarm in rule.judge(trial.history, day)]
    alarms.sort(key=lambda one: -one[0].score)  # the group that counts is that of the lowest score, written last
    dates, ids = trial.history.days, [entity.entity_id for entity in trial.history.entities]
    right_on = {(one.entity_id, day) for one in trial.planted for day in DateRange(one.day, one.last)}
    scores = {}
    for threshold in rule.thresholds:
        raised = {
            (ids[one.entity], dates[day]): (dates[day], one.group or ids[one.entity])
            for one, day in alarms
            if one.before < threshold <= one.score
        }
        right = raised.keys() & right_on
        score = Score(len(days), right=len(right), false=len(raised) - len(right))
        score.false_messages = len(set(raised.values()) - {raised[alarm] for alarm in right})
        for kind, told in _stories(trial.planted):
            score.planted[kind] += 1
            score.hits[kind] += any((one.entity_id, day) in raised for one in told for day in _days_to_find(one))
        scores[threshold] = score
    return scores


def _stories(planted: Iterable[Planted]) -> list[tuple[str, list[Planted]]]:
    """Return what was planted, each story once: a burglar who passes four sensors is one."""
    stories: dict[int, list[Planted]] = defaultdict(list)
    for one in planted:
        stories[one.story].append(one)
    return [(kind_of(told[0]), told) for told in stories.values()]


def kind_of(one: Planted) -> str:
    """Return the kind of something planted; jumps by the usual bouts a day, as few can be proven of rare ones."""
    if one.kind != "jump":
        return one.kind
    return "jump, under 4 a day" if one.usual < 4 else "jump, 4 to 8" if one.usual < 8 else "jump, 8 and more"


def _days_to_find(one: Planted) -> DateRange:
    """Return the days on which reporting it counts as finding it: its first; for what is silent, two more."""
    if one.kind not in {"dead", "hub"}:
        return DateRange(one.day, one.day)
    days = list(DateRange(one.day, one.last))
    return DateRange(one.day, days[min(_DAYS_UNTIL_DEAD, len(days) - 1)])


def score_pairs(rule: PairRule, trial: PairTrial) -> Scores:
    """Return the scores of a rule in a home with pairs, by threshold; each pair counts on each day."""
    scores = {threshold: Score() for threshold in rule.thresholds}
    for day in range(trial.first, len(trial.logs)):
        scored = list(rule.find(trial.logs[: day + 1]))
        for threshold, score in scores.items():
            found = {one.pair for one in scored if one.score >= threshold}
            score.days += 1
            score.right += len(found & trial.planted.keys())
            false = len(found - trial.planted.keys() - trial.related)
            score.false += false
            score.false_messages += false
            for pair, kind in trial.planted.items():
                score.planted[kind] += 1
                score.hits[kind] += pair in found
    return scores


def affordable(scores: Scores, most_a_week: float) -> float | None:
    """Return the laxest threshold with at most so many false alarms a week; None if there is none."""
    rate: Callable[[Score], float] = lambda score: score.false / max(score.days, 1) * 7  # noqa: E731 - one expression
    fitting = [threshold for threshold, score in scores.items() if rate(score) <= most_a_week]
    return min(fitting, default=None)


def pooled(scores: Sequence[Scores]) -> Scores:
    """Return the scores of several homes, added up."""
    total: Scores = defaultdict(Score)
    for of_home in scores:
        for threshold, score in of_home.items():
            total[threshold].add(score)
    return dict(total)
