"""The arena at a tiny size: every rule runs, none looks ahead, and scores count what they say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from storage.backends.memory import MemoryStore
from tests.arena.__main__ import BEGIN, END, main
from tests.arena.history import History
from tests.arena.homes import PairTrial, Spec, Trial
from tests.arena.results import run, usable
from tests.arena.rule import RULES, Alarm, AlarmRule, PairRule, Rule, find_rules
from tests.arena.scoring import Score, affordable, pooled, score_alarms, score_pairs, share, weekly
from tests.support.home import ROOT
from tests.support.homes.home import LivedHome
from tests.support.homes.lives import LIVES
from tests.support.homes.planting import Plan, Planted

SEED = 4242
NAMES = sorted(path.stem for path in RULES.glob("*.py"))
ALARM_RULES = [name for name, rule in find_rules().items() if isinstance(rule, AlarmRule)]
TINY = Spec("lived", "holidays", SEED, 31, 15)
NEW_RULE = """
from tests.arena.rule import Alarm, AlarmRule

RULE = AlarmRule("every entity, every day", "nobody", "t = {:g}".format, [0, 1], 1,
    lambda history, day: [Alarm(entity, 0.5) for entity in range(len(history.entities))])
"""


def rule_of(name: str) -> Rule:
    rule = find_rules()[name]
    if find_spec(rule.needs) is None:
        pytest.skip(f"not here: {rule.needs}: it is installed by make arena")
    return rule


@cache
def tiny_lived_home(life: str) -> LivedHome:
    plan = Plan(jump=0.3, long=0.2, still_on=0.2, night_door=0.2, dead=3, burglar=True)
    return LivedHome(LIVES[life], SEED, entities=20, judged=31, plan=plan)


@cache
def tiny_home(life: str = "retired") -> Trial:
    home = tiny_lived_home(life)
    history = History.of([home.log(day) for day in home.days], home.store())
    return Trial(history, 28, home.planted)


@cache
def tiny_pairs() -> PairTrial:
    trial = Spec("pairs", "20 others", SEED, 2, 20).make()
    assert isinstance(trial, PairTrial)
    return trial


@pytest.mark.parametrize("name", ALARM_RULES)
def test_no_rule_looks_at_days_after_the_one_it_judges(name: str) -> None:
    rule = rule_of(name)
    assert isinstance(rule, AlarmRule)
    home, history = tiny_lived_home("holidays"), tiny_home("holidays").history
    for day in (30, 44):
        days = history.days[: day + 1]
        stored = MemoryStore(row for date in days for row in home.rows_by_day[date])
        until = History(history.logs[: day + 1], stored, history.entities)
        assert list(rule.judge(until, day)) == list(rule.judge(history, day))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("ours", ["jump, 8 and more", "dead"]),
        ("hour_of_week", ["jump, 8 and more", "jump, 4 to 8"]),
        ("cusum", ["jump, 8 and more"]),
        ("isolation_forest", ["jump, 8 and more"]),
        ("longer_than_usual", ["long", "still_on"]),
        ("open_or_on_for_hours", ["long", "still_on"]),
        ("silent_for_hours", ["dead"]),
        ("door_at_night", ["night_door"]),
        ("motion_while_away", ["burglar"]),
    ],
)
def test_each_rule_finds_what_it_is_made_for(name: str, kinds: list[str]) -> None:
    rule = rule_of(name)
    assert isinstance(rule, AlarmRule)
    score = score_alarms(rule, tiny_home("holidays" if "burglar" in kinds else "retired"))[rule.usual]
    for kind in kinds:
        assert score.planted[kind] > 0
        assert score.hits[kind] >= 0.6 * score.planted[kind], kind


@pytest.mark.parametrize("name", ["ours_pairs", "lift", "pmi"])
def test_each_rule_of_pairs_finds_frequent_pairs(name: str) -> None:
    rule = rule_of(name)
    assert isinstance(rule, PairRule)
    score = score_pairs(rule, tiny_pairs())[rule.usual]
    assert score.hits["8 a day, 10 s"] == score.planted["8 a day, 10 s"] == 2


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_names_its_source_and_its_thresholds(name: str) -> None:
    rule = rule_of(name)
    assert rule.source
    labels = [rule.label(threshold) for threshold in rule.thresholds]
    assert len(set(labels)) == len(labels) > 1


def test_a_rule_is_added_as_one_file(tmp_path: Path) -> None:
    (tmp_path / "always.py").write_text(NEW_RULE, encoding="utf-8")
    rules = find_rules([RULES, tmp_path])
    assert sorted([*NAMES, "always"]) == sorted(rules)
    (result,) = run([TINY], ["always"], [RULES, tmp_path])
    lax, strict = result.scores["always"][0], result.scores["always"][1]
    assert lax.hits == lax.planted
    assert lax.false > 0
    assert strict.right == strict.false == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = 1", "has no RULE"),
        (NEW_RULE.replace("[0, 1]", "[1, 0]"), "must ascend"),
        (NEW_RULE.replace("[0, 1], 1", "[0, 1], 2"), "must be one of them"),
    ],
)
def test_a_file_that_holds_no_valid_rule_is_refused_by_name(tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "bad.py").write_text(text, encoding="utf-8")
    with pytest.raises((TypeError, ValueError), match=f"bad.py.*{error}"):
        find_rules([tmp_path])


def test_a_rule_whose_library_is_missing_is_left_out_and_reported() -> None:
    rules = find_rules()
    found, notes = usable({**rules, "odd": replace(rules["ours"], needs="no_such_module")})
    assert "odd" not in found
    assert notes[-1] == "odd was left out: it needs no_such_module (pip install '.[arena]')"


Judge = Callable[[History, int], list[Alarm]]


def scored(judge: Judge, planted: list[Planted], threshold: float = 1.0) -> Score:
    rule = AlarmRule("", "x", str, [threshold], threshold, judge)
    return score_alarms(rule, replace(tiny_home(), planted=planted))[threshold]


def planted(kind: str, day: int, last: int, entity: int = 3, story: int = 1) -> Planted:
    history = tiny_home().history
    return Planted(kind, history.entities[entity].entity_id, history.days[day], history.days[last], story, 9.0)  # type: ignore[arg-type]


def alarm_on(day: int, alarm: Alarm, _history: History, judged: int) -> list[Alarm]:
    return [alarm] if judged == day else []


@pytest.mark.parametrize(
    ("kind", "raised", "is_hit", "is_right"),
    [
        ("long", 30, True, True),
        ("long", 31, False, False),
        ("still_on", 31, False, True),
        ("dead", 32, True, True),
        ("dead", 33, False, True),
    ],
)
def test_an_alarm_counts_as_found_or_right_or_false_by_its_day(
    kind: str, raised: int, is_hit: bool, is_right: bool
) -> None:
    last = {"long": 30, "still_on": 31, "dead": 50}[kind]
    score = scored(partial(alarm_on, raised, Alarm(3, 1.0)), [planted(kind, 30, last)])
    assert (score.hits[kind], score.right, score.false) == (int(is_hit), int(is_right), int(not is_right))
    assert score.planted == {kind: 1}


def test_alarms_of_an_entity_on_a_day_count_once_and_not_again_at_thresholds_they_were_raised_at_before() -> None:
    def judge(_history: History, _day: int) -> list[Alarm]:
        return [Alarm(3, 2.0, before=1.0), Alarm(3, 1.5), Alarm(4, 2.0, before=1.5)]

    days = len(tiny_home().history.days) - 28
    assert scored(judge, []).false == days
    assert scored(judge, [], threshold=2.0).false == 2 * days


def test_false_alarms_of_one_group_are_one_message_and_a_group_with_a_right_alarm_is_none() -> None:
    def judge(_history: History, day: int) -> list[Alarm]:
        return [Alarm(entity, 1.0, group="story") for entity in (3, 4, 5)] + [Alarm(6, 1.0)] if day in {30, 31} else []

    score = scored(judge, [planted("long", 30, 30)])
    assert (score.right, score.false) == (1, 7)
    assert score.false_messages == 1 + 2  # the story of day 31, and entity 6 on both days


def test_a_burglar_who_passes_four_sensors_is_found_once() -> None:
    passed = [planted("burglar", 30, 30, entity) for entity in (1, 2, 3, 4)]
    score = scored(partial(alarm_on, 30, Alarm(3, 1.0)), passed)
    assert score.hits == score.planted == {"burglar": 1}


@pytest.mark.parametrize(
    ("usual", "kind"), [(3.9, "jump, under 4 a day"), (4, "jump, 4 to 8"), (8, "jump, 8 and more")]
)
def test_jumps_are_counted_by_the_usual_bouts_a_day(usual: float, kind: str) -> None:
    score = scored(lambda _history, _day: [], [replace(planted("jump", 30, 30), usual=usual)])
    assert score.planted == {kind: 1}


def test_intervals_are_those_of_the_books() -> None:
    found, silent, often = share(3, 3), weekly(0, 7), weekly(10, 70)
    assert share(0, 0) is None
    assert weekly(1, 0) is None
    assert found is not None
    assert silent is not None
    assert often is not None
    assert found == pytest.approx((1, 0.4385, 1), abs=1e-3)  # Wilson 1927
    assert silent == pytest.approx((0, 0, 3.689), abs=1e-3)  # Garwood 1936: -ln 0.025
    assert often == pytest.approx((1, 0.4795, 1.8390), abs=1e-3)


def test_the_laxest_threshold_that_is_affordable_is_chosen() -> None:
    scores = {1.0: Score(70, false=11), 2.0: Score(70, false=10), 3.0: Score(70, false=1)}
    assert affordable(scores, 1.0) == 2.0
    assert affordable({1.0: Score(7, false=2)}, 1.0) is None


def test_scores_of_several_homes_add_up() -> None:
    one, other = Score(7, right=1, false=2), Score(14, right=3, false=4)
    one.hits["long"], one.planted["long"], other.planted["long"] = 1, 1, 2
    total = pooled([{1.0: one}, {1.0: other}])[1.0]
    assert (total.days, total.right, total.false, total.hits["long"], total.planted["long"]) == (21, 4, 6, 1, 3)
    assert total.recall("long") == share(1, 3)


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one() -> None:
    specs = [TINY, replace_name(TINY, "guests")]
    names = ["open_or_on_for_hours", "door_at_night"]
    assert list(run(specs, names, workers=2)) == list(run(specs, names))


def replace_name(spec: Spec, name: str) -> Spec:
    return spec._replace(name=name)


def test_the_command_writes_its_tables_between_the_marks_of_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "arena.md"
    document.write_text(f"# Arena\n\n{BEGIN}\nyesterday\n{END}\n\nThe end\n", encoding="utf-8")
    options = "--rule door_at_night --rule ours_pairs --home regular --home uniform --size 15 --days 30 --workers 1"
    options += " --group lived --group noise"
    assert main([*options.split(), "--write", str(document)]) == 0
    text = document.read_text(encoding="utf-8")
    assert text.startswith(f"# Arena\n\n{BEGIN}\n\n`make arena`: 2 homes, seeds from 9000 on")
    assert text.endswith(f"{END}\n\nThe end\n")
    assert "yesterday" not in text
    assert "| a door between 0 and 5 | at most 28 nights of 28 | 0." in text
    assert "| noise: uniform | 0.00 (0.00 to 0.86) |" in text
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == capsys.readouterr().out.strip()


def test_a_document_without_the_marks_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "arena.md"
    document.write_text("# Arena\n", encoding="utf-8")
    options = "--rule ours_pairs --group=noise --home uniform --days 2 --workers 1"
    with pytest.raises(SystemExit, match="has no line"):
        main([*options.split(), "--write", str(document)])
    assert document.read_text(encoding="utf-8") == "# Arena\n"


def test_an_unknown_rule_is_refused_with_the_names_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rule", "magic"])
    assert "not a rule: magic; there are cusum, door_at_night" in capsys.readouterr().err


def test_every_rule_is_described_in_the_document() -> None:
    text = (ROOT / "docs/arena.md").read_text(encoding="utf-8")
    assert [rule.name for rule in find_rules().values() if rule.name not in text] == []


@pytest.mark.parametrize("group", ["lived", "noise"])
def test_days_are_judged_after_the_baseline_only(group: str) -> None:
    trial = Spec(group, "regular" if group == "lived" else "uniform", SEED, 3, 15).make()
    assert isinstance(trial, Trial)
    assert trial.history.days[trial.first] - trial.history.days[0] == dt.timedelta(28)
    assert len(trial.history.days) - trial.first == 3
