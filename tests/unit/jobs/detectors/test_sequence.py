import hashlib

import pytest

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import AUTOMATION, DEVICE, DayLog
from jobs.activity.window import MINUTE, SECOND, DayWindow
from jobs.detectors.sequence import Sequence
from storage.models import SequenceDaily
from tests.support.noise_homes import DAY, UTC

TIMES = [m * MINUTE for m in (430, 520, 640, 780, 905, 1010)]


def day(*entities: Description, lag_seconds: float = 7, cause: int = DEVICE) -> DayLog:
    """A day on which entities switch on one after the other, six times, and off after a while that differs."""
    window, builder = DayWindow(DAY, UTC), SampleBuilder()
    for number, about in enumerate(entities):
        builder.describe(about)
        builder.add(window.start, about.entity_id, "off")
        for visit, at in enumerate(TIMES):
            on = window.start + at + round(number * lag_seconds * SECOND)
            builder.add(on, about.entity_id, "on", cause if number else DEVICE)
            off = on + (4 + (visit * (5 + 4 * number)) % 31) * MINUTE
            builder.add(off, about.entity_id, "off", cause if number else DEVICE)
    return Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)


def rows(log: DayLog, detector: Sequence | None = None) -> list[SequenceDaily]:
    return [row for row in (detector or Sequence()).detect(log).rows if isinstance(row, SequenceDaily)]


HOME = [Description(f"light.l{number}") for number in range(6)]


def test_a_chain_is_found_as_a_whole_and_not_in_parts() -> None:
    (row,) = rows(day(*HOME[:4]))
    assert row.sequence == [f"light.l{number}:on" for number in range(4)]
    assert row.frequency == len(TIMES)
    assert row.avg_duration_seconds == pytest.approx(21)


def test_the_id_is_made_of_the_sequence_as_compact_json() -> None:
    (row,) = rows(day(*HOME[:2]))
    assert row.sequence_id == hashlib.sha256(b'["light.l0:on","light.l1:on"]').hexdigest()[:16]


def test_no_chain_is_longer_than_asked_for() -> None:
    assert max(len(row.sequence) for row in rows(day(*HOME))) == 5
    assert max(len(row.sequence) for row in rows(day(*HOME), Sequence(max_steps=2))) == 2


def test_what_is_cut_is_counted() -> None:
    finding = Sequence(max_rows=1).detect(day(*HOME))
    assert len(finding.rows) == 1
    assert "chains beyond max_rows = 1 left out" in finding.reason
    assert "two-step chains beyond max_links = 2 left out" in Sequence(max_links=2).detect(day(*HOME)).reason


def test_a_chain_over_a_kilobyte_is_left_out_and_counted() -> None:
    long = [Description(f"light.{number}{'x' * 240}") for number in range(5)]
    finding = Sequence().detect(day(*long))
    assert "1 chain that is longer than 1 KB or not valid text left out" in finding.reason
    assert not finding.rows


@pytest.mark.parametrize(
    ("linked_by", "log"),
    [
        ("automation", day(*HOME[:2], cause=AUTOMATION)),
        ("simultaneous", day(*HOME[:2], lag_seconds=0.2)),
        ("same_device", day(Description("light.a", device_id="x"), Description("light.b", device_id="x"))),
    ],
)
def test_chains_that_the_home_itself_links_are_left_out_or_flagged(linked_by: str, log: DayLog) -> None:
    assert rows(log) == []
    assert [row.linked_by for row in rows(log, Sequence(linked="flag"))] == [linked_by]


def test_what_somebody_else_does_in_between_does_not_matter() -> None:
    others = day(*HOME[:2], lag_seconds=20)
    window, builder = others.window, SampleBuilder()
    builder.add(window.start, "light.other", "off")
    for entity in others.entities:
        builder.add(window.start, entity.entity_id, "off")
    for at, code, state in zip(others.events.at, others.events.entity, others.events.state, strict=True):
        builder.add(int(at), others.entities[code].entity_id, others.states[state])
    for number in range(600):
        builder.add(window.start + (3 + number * 137) * SECOND, "light.other", ("on", "off")[number % 2])
    log = Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)
    assert ["light.l0:on", "light.l1:on"] in [row.sequence for row in rows(log)]


def test_evidence_of_a_chain_shows_when_each_step_was_and_how_often_chance_gives_it() -> None:
    log = day(*HOME[:3])
    (row,) = rows(log)
    evidence = Sequence().explain(row, log)
    assert evidence.columns[:3] == ("light.l0:on", "light.l1:on", "light.l2:on")
    assert [str(line[0])[11:19] for line in evidence.lines][:2] == ["07:10:00", "08:40:00"]
    assert [line[3:] for line in evidence.lines] == [(14.0, "")] * len(TIMES)
    assert [note.partition(",")[0] for note in evidence.notes] == [
        "light.l1:on follows 6 of 6 times", "light.l2:on follows 6 of 6 times",
    ]  # fmt: skip
    assert all("p = " in note for note in evidence.notes)


def test_a_step_in_words_may_have_a_colon_in_its_state() -> None:
    window, builder = DayWindow(DAY, UTC), SampleBuilder()
    for about in HOME[:2]:
        builder.describe(about)
        builder.add(window.start, about.entity_id, "a:0")
    for visit, at in enumerate(TIMES):
        for number in range(2):
            builder.add(window.start + at + number * 9 * SECOND, f"light.l{number}", f"a:{visit + 1}")
    log = Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)
    row = SequenceDaily(
        date=DAY, sequence_id="0" * 16, sequence=["light.l0:a:1", "light.l1:a:1"], frequency=1, avg_duration_seconds=9,
        confidence=0,
    )  # fmt: skip
    evidence = Sequence().explain(row, log)
    assert [str(line[1])[11:19] for line in evidence.lines] == ["07:10:09"]


def test_evidence_says_so_where_the_raw_events_no_longer_contain_a_step() -> None:
    log = day(*HOME[:3])
    (row,) = rows(log)
    evidence = Sequence().explain(row, day(*HOME[:2]))
    assert (evidence.lines, evidence.notes) == ([], ("the raw events no longer contain each of its steps",))
