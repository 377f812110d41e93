"""Homes whose residents are away for a fortnight: what is reported of the absence, of the return, and of a burglar."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from jobs.detectors.anomaly import Anomaly
from jobs.household import NO_HOUSEHOLD, Away, Household
from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY, DateRange
from storage.models import ActiveTimeDaily, AnomalyDaily, DailyAggregate, TimeBasedDaily
from tests.support.homes.home import LivedHome
from tests.support.homes.lives import LIVES
from tests.support.homes.planting import Plan

Known = Literal["persons", "entered", "entered, full days only"]
Meanwhile = Literal["nothing", "a cat", "a robot vacuum", "lamps against burglars"]

FORTNIGHT: Final = replace(LIVES["holidays"], feast_days=0)
DAYS_AFTER: Final = 7
_CLEANING_HOURS: Final = (10, 11)
_LAMP_HOURS: Final = (18, 19, 20, 21, 22)


@dataclass
class Score:
    """What was found over several homes.

    Attributes:
        homes: The number of homes.
        burglars: Those that were found.
        false_news: Days away on which movement was reported and nobody had come in.
        of_return: Rows on the day of the return, by type.
        after: Rows in the week after the return, by type.
        before: Rows in the week before the absence, by type: what is reported in any week.
        unseen: Days away that were judged like other days.
    """

    homes: int = 0
    burglars: int = 0
    false_news: int = 0
    of_return: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    unseen: int = 0


def fortnight_away(seeds: Iterable[int], entities: int, known: Known, meanwhile: Meanwhile = "nothing") -> Score:
    """Judge the days around a fortnight away in one home for each seed.

    Args:
        seeds: The seeds; each home has a burglar on one of the days away.
        entities: The number of entities of each home.
        known: How the absence is known.
        meanwhile: What moves in the home although nobody is there.
    """
    score, detector = Score(), Anomaly()
    for seed in seeds:
        home = LivedHome(FORTNIGHT, seed=seed, entities=entities, plan=Plan(burglar=True))
        days = {what: [day for day, that in home.circumstances.items() if that == what] for what in ("leaving", "away")}
        leaving, away = days["leaving"][0], days["away"]
        back = away[-1] + ONE_DAY
        burglary = next(one.day for one in home.planted if one.kind == "burglar")
        store = MemoryStore(_rows(home, away, known, meanwhile, np.random.default_rng([seed, 7])))
        household = {
            "persons": NO_HOUSEHOLD,
            "entered": Household((Away(leaving, back),)),
            "entered, full days only": Household((Away(away[0], away[-1]),)),
        }[known]
        score.homes += 1
        for day in DateRange(leaving - DAYS_AFTER * ONE_DAY, back + DAYS_AFTER * ONE_DAY):
            found = detector.judge(day, store, household)
            types = Counter(row.anomaly_type for row in found.rows if isinstance(row, AnomalyDaily))
            if day in away:
                score.unseen += "nobody was home" not in found.reason
                score.burglars += day == burglary and types["activity_while_away"] > 0
                score.false_news += day != burglary and types.total() > 0
            elif day == back:
                score.of_return += types
            elif day != leaving:
                (score.after if day > back else score.before).update(types)
    return score


def _rows(
    home: LivedHome, away: Iterable[dt.date], known: Known, meanwhile: Meanwhile, rng: np.random.Generator
) -> Iterator[DailyAggregate]:
    """Yield the stored rows of a home, with what moves meanwhile."""
    motion = [about.entity_id for about in home.about if about.device_class == "motion"]
    lamps = [about.entity_id for about in home.about if about.entity_id.startswith("light.")][:5]
    here = {one for one in motion if meanwhile == "a cat" and rng.random() < 0.7} or set(motion[:1])
    for day, rows in home.rows_by_day.items():
        acted: dict[str, Counter[int]] = {}
        if meanwhile == "a cat":
            acted = {one: Counter(rng.integers(0, 24, rng.poisson(4)).tolist()) for one in here}
        elif meanwhile == "a robot vacuum" and day.weekday() in {0, 2, 4}:
            acted = {one: Counter(rng.choice(_CLEANING_HOURS, 3).tolist()) for one in motion}
            acted["vacuum.robot"] = Counter(_CLEANING_HOURS)
        elif meanwhile == "lamps against burglars" and day in away:
            acted = {one: Counter(rng.choice(_LAMP_HOURS, 4).tolist()) for one in lamps}
        yield from _with(rows, day, acted, home, persons=known == "persons")


def _with(
    rows: Iterable[DailyAggregate], day: dt.date, acted: Mapping[str, Counter[int]], home: LivedHome, *, persons: bool
) -> Iterator[DailyAggregate]:
    """Yield a day's rows with more activity of some entities, with or without persons."""
    left = dict(acted)
    classes = {about.entity_id: about.device_class for about in home.about}
    for row in rows:
        is_person = isinstance(row, ActiveTimeDaily | TimeBasedDaily) and row.entity_id.startswith("person.")
        if is_person and not persons:
            continue
        if isinstance(row, TimeBasedDaily) and (more := left.pop(row.entity_id, None)):
            hours = [count + more[hour] for hour, count in enumerate(row.hourly_distribution)]
            changes = {
                "hourly_distribution": hours,
                "occurrences": sum(hours),
                "bouts": (row.bouts or 0) + more.total(),
            }
            yield row.model_copy(update=changes)
        else:
            yield row
    for entity_id, more in left.items():
        if more:
            yield TimeBasedDaily(
                date=day,
                entity_id=entity_id,
                domain=entity_id.partition(".")[0],
                hourly_distribution=[more[hour] for hour in range(24)],
                peak_hours=[],
                frequency=0.1,
                confidence=0,
                occurrences=more.total(),
                bouts=more.total(),
                device_class=classes.get(entity_id),
            )


def trackers_that_report_nothing(seeds: Iterable[int], entities: int) -> tuple[int, int]:
    """Return on how many days a home counts as left although people live in it, and the days on which it seems to be.

    For two weeks, every person is away: the trackers no longer report, or a resident has none.
    """
    wrong = days = 0
    for seed in seeds:
        home = LivedHome(LIVES["regular"], seed=seed, entities=entities)
        weeks = DateRange(home.judged.first + 10 * ONE_DAY, home.judged.first + 23 * ONE_DAY)
        rows: list[DailyAggregate] = []
        for day, found in home.rows_by_day.items():
            for row in found:
                if isinstance(row, ActiveTimeDaily) and row.entity_id.startswith("person.") and day in weeks:
                    rows.append(row.model_copy(update={"active_seconds": 0.0, "still_active_seconds": None}))
                elif not (isinstance(row, TimeBasedDaily) and row.domain == "person" and day in weeks):
                    rows.append(row)
        store = MemoryStore(rows)
        days += len(weeks)
        wrong += sum("nobody was home:" in Anomaly().judge(day, store).reason for day in weeks)
    return wrong, days
