"""Print how good the detectors are, as tables: ``python -m tests.quality`` (about five minutes on one core)."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence

from tests.quality.away import Known, Meanwhile, fortnight_away, trackers_that_report_nothing
from tests.quality.changes import multiplied, unchanged
from tests.quality.drifts import false_drifts, recall
from tests.quality.habits import habits_by_chance, recall_and_precision
from tests.quality.lived import TYPES, Lived, lived
from tests.quality.real import all_homes, real_home
from tests.quality.scores import (
    ALL_TYPES,
    Found,
    Routine,
    noise,
    noise_anomalies,
    planted,
    routine,
    shuffled_days,
    simulated,
)
from tests.support.homes.lives import LIVES
from tests.support.noise_homes import KINDS
from tests.support.real_homes import homes

SIZES = (10, 50, 200)
_LIVED_ENTITIES = 40
FACTORS = (0.5, 0.65, 0.8, 1.2, 1.35, 1.5)
_SPREADS = {  # size, ratio
    "by chance": (math.inf, 1.0),
    "somewhat more (size 20)": (20.0, 1.0),
    "less (variance 0.5 of the mean)": (math.inf, 0.5),
    "far less (variance 0.25 of the mean)": (math.inf, 0.25),
}
_QUARTERS = 200
_LAGS = ((5.0, 60.0), (60.0, 180.0), (180.0, 290.0))
_HABIT_HOMES = 20
_CHANGED_HOMES = 200
ABSENCES: Sequence[tuple[int, Known, Meanwhile]] = (
    (15, "persons", "nothing"),
    (40, "persons", "nothing"),
    (100, "persons", "nothing"),
    (40, "entered", "nothing"),
    (40, "entered, full days only", "nothing"),
    (40, "persons", "a cat"),
    (40, "persons", "a robot vacuum"),
    (40, "persons", "lamps against burglars"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the requested tables."""
    parts: dict[str, Callable[[int, int], None]] = {
        "noise": _noise,
        "shuffled": _shuffled,
        "planted": _planted,
        "anomaly": _anomaly,
        "lived": _lived,
        "away": _away,
        "changes": _changes,
        "drift": _drift,
        "habits": _habits,
        "simulated": _simulated,
        "real": _real,
    }
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="which tables to print; all by default")
    parser.add_argument("--seed", type=int, default=1000, help="seeds below 100 were used for tuning")
    parser.add_argument("--days", type=int, default=20, help="days of each home")
    chosen = parser.parse_args(arguments)
    for part in chosen.parts or parts:
        parts[part](chosen.seed, chosen.days)
    return 0


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    sys.stdout.write(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
    for row in rows:
        sys.stdout.write(f"| {' | '.join(map(str, row))} |\n")
        sys.stdout.flush()


def _noise(seed: int, days: int) -> None:
    def rows() -> Iterable[Sequence[object]]:
        for kind in KINDS:
            for entities in SIZES:
                score = noise(kind, entities, days, seed)
                peaks = "-" if kind in ("morning", "quarters") else f"{score.peaks / score.entities:.1%}"
                anomalies = noise_anomalies(kind, entities, days, seed)
                yield kind, entities, f"{score.pairs / days:.2f}", f"{score.chains / days:.2f}", peaks, anomalies

    head = "noise", "entities", "pairs a day", "chains a day", "entities with a peak", f"anomalies in {days} days"
    _table("Noise: all entities act independently", head, rows())


def _shuffled(seed: int, days: int) -> None:
    def rows() -> Iterable[Sequence[object]]:
        for name in homes():
            score = shuffled_days(name, days, seed)
            yield name, score.days, f"{score.pairs / score.days:.2f}", f"{score.chains / score.days:.2f}"

    _table("Shuffled real days", ("home", "days", "pairs a day", "chains a day"), rows())


def _planted(seed: int, days: int) -> None:
    scores = [(background, planted(background, days, seed)) for background in (20, 50, 120)]
    for title, which in (("pairs", "pairs"), ("chains of three", "chains")):
        classes = list(getattr(scores[0][1], which).planted)
        rows = []
        for background, score in scores:
            found: Found = getattr(score, which)
            precision = score.pair_precision if which == "pairs" else score.chain_precision
            rows.append((background, *(f"{found.recall(kind):.2f}" for kind in classes), f"{precision:.2f}"))
        _table(f"Planted {title}: recall by repeats a day and maximum gap", ("background", *classes, "precision"), rows)


def _anomaly(seed: int, days: int) -> None:
    number = max(days // 2, 1)

    def rows() -> Iterable[Sequence[object]]:
        for entities in (15, 40, 120):
            for types in (ALL_TYPES[:2], ALL_TYPES):
                score = routine(entities, number, seed, types)
                yield (
                    entities,
                    len(types),
                    *(_of_provable(score, size) for size in ("under 4", "4 to 8", "8 and more")),
                    *(f"{score.dead.recall(size):.2f}" for size in ("under 4", "4 and more")),
                    f"{score.unusual_hours.recall():.2f}",
                    f"{score.left_on.recall():.2f}",
                    f"{score.false_a_week:.2f}",
                )

    head = (
        "entities", "types", "jump (provable, affordable), under 4 a day", "4 to 8", "8 and more",
        "dead, under 4 a day", "4 and more", "unusual hours", "left on", "false a week",
    )  # fmt: skip
    _table(f"Planted anomalies, {number} homes of 62 days", head, rows())


def _lived(seed: int, days: int) -> None:
    number, names = max(days // 10, 1), (*TYPES.values(),)

    def rows() -> Iterable[Sequence[object]]:
        for life in LIVES:
            score = lived(life, _LIVED_ENTITIES, number, seed)
            rates = *(score.a_week(one) for one in names), score.a_week(), score.false_messages / score.days * 7
            yield life, *(_share(score, kind) for kind in TYPES), *(f"{rate:.2f}" for rate in rates)

    head = (
        "life",
        *(f"{kind} (oracle)" for kind in TYPES),
        *(f"{one}, false a week" for one in names),
        "all",
        "messages",
    )
    _table(f"Homes in which people live, {number} of {_LIVED_ENTITIES} entities each, 62 days", head, rows())


def _share(score: Lived, kind: str) -> str:
    hits, planted = score.found.hits[kind], score.found.planted[kind]
    oracle = f" ({score.provable.hits[kind]})" if kind in score.provable.planted else ""
    return f"{hits}/{planted}{oracle}"


def _of_provable(score: Routine, size: str) -> str:
    found, provable, affordable = (kind.recall(size) for kind in (score.jumps, score.provable, score.affordable))
    return f"{found:.2f} ({provable:.2f}, {affordable:.2f})"


def _away(seed: int, days: int) -> None:
    def rows() -> Iterable[Sequence[object]]:
        for entities, known, meanwhile in ABSENCES:
            homes = 3 * days if (entities, known, meanwhile) == (40, "persons", "nothing") else days
            score = fortnight_away(range(seed, seed + homes), entities, known, meanwhile)
            yield (
                entities, known, meanwhile, f"{score.burglars} of {score.homes}", score.false_news,
                score.of_return.total(), score.after.total(), score.before.total(), score.unseen,
            )  # fmt: skip

    head = (
        "entities", "known by", "meanwhile", "burglars found", "days of false news", "rows on the day of the return",
        "in the week after", "in the week before leaving", "days away not recognised",
    )  # fmt: skip
    _table("A fortnight away", head, rows())
    wrong, all_days = trackers_that_report_nothing(range(seed, seed + 6), 40)
    sys.stdout.write(f"\nTrackers that report nothing: {wrong} of {all_days} days counted as days away.\n")


def _changes(seed: int, _days: int) -> None:
    found = unchanged(range(seed, seed + 40))
    head = "homes", "reports that name a change", "changes", "tests"
    _table("What changed, in homes of 40 devices in which nothing changes", head, [found])
    rows = [(factor, *multiplied(range(seed + 40, seed + 60), factor)) for factor in (1.5, 2, 3)]
    _table("What changed, where a device is used so many times as often", ("times as often", "found", "planted"), rows)


def _drift(seed: int, _days: int) -> None:
    def rows() -> Iterable[Sequence[object]]:
        for factor in FACTORS:
            for spread, (size, ratio) in _SPREADS.items():
                share = recall(seed, _CHANGED_HOMES, factor, size=size, ratio=ratio)
                yield f"{factor - 1:+.0%}", spread, f"{share.found:.2f}", f"{share.oracle:.2f}"

    _table(
        f"Changes at eight bouts a day, found within two weeks, {_CHANGED_HOMES} homes of 40 entities",
        ("change", "days vary", "found", "most that is possible"),
        rows(),
    )

    def by_chance() -> Iterable[Sequence[object]]:
        for regular in (0, 1 / 3, 1):
            for season in (0, 0.1, 0.2):
                found = false_drifts(seed, _QUARTERS, regular_share=regular, season=season)
                yield f"{regular:.0%}", f"{season:.0%}", sum(found), f"{sum(found) / len(found):.2f}", max(found)

    _table(
        f"Drifts where no day is the first of a new level, {_QUARTERS} home-quarters of 40 entities",
        (
            "entities more regular than chance",
            "levels rise and fall in a year by",
            "drifts",
            "a quarter",
            "most in one",
        ),
        by_chance(),
    )


def _habits(seed: int, _days: int) -> None:
    def rows() -> Iterable[Sequence[object]]:
        for lags in _LAGS:
            share = recall_and_precision(seed, _HABIT_HOMES, lags)
            yield f"{lags[0]:.0f} to {lags[1]:.0f} s", f"{share.recall:.3f}", f"{share.precision:.3f}"

    _table(
        f"Pairs twice a day over four weeks, {_HABIT_HOMES} homes of 40 entities with 8 pairs each",
        ("lag", "recall", "precision"),
        rows(),
    )
    chances = ("any time", False), ("two quarters of an hour", True)
    _table(
        f"Habits in {_HABIT_HOMES} homes of noise",
        ("active at", "habits"),
        ((name, habits_by_chance(seed, _HABIT_HOMES, clumped=clumped)) for name, clumped in chances),
    )


def _simulated(seed: int, _days: int) -> None:
    rows = ((home, *simulated(home)) for home in range(seed, seed + 4))
    head = "seed", "the dying sensor is found on its silent day number", "days on which others are, of 35"
    _table("The simulated home", head, ((home, found, dict(others)) for home, found, others in rows))


def _real(_seed: int, _days: int) -> None:
    found = [real_home(name) for name in all_homes()]
    names = "time_based", "duration", "room_based", "co_occurrence", "sequence", "anomaly"
    rows = (
        (one.name, one.days, one.compared, len(one.entities), f"{one.events / one.days:.0f}", *map(one.a_day, names))
        for one in found
    )
    _table(
        "Real homes: rows a day (most on a day)",
        ("home", "days", "days compared by anomaly", "entities", "events a day", *names),
        rows,
    )
    for one in found:
        recurring = [(number, what) for what, number in one.recurring.most_common(12)]
        _table(f"{one.name}: what recurs, of {one.days} days", ("days", "pair or chain"), recurring)
        anomalies = (
            (row.date, row.entity_id, row.anomaly_type, row.occurrences, row.severity) for row in one.anomalies
        )
        _table(f"{one.name}: anomalies", ("day", "entity", "type", "bouts", "severity"), anomalies)


if __name__ == "__main__":
    sys.exit(main())
