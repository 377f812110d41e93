"""What only a real server can show of InfluxStore, on 1.x and 2.x."""

from __future__ import annotations

import datetime as dt
import signal
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from storage.backends.influxdb.line_protocol import line, midnight_seconds
from storage.backends.influxdb.store import ERRORS, InfluxStore
from storage.backends.influxdb.writer import MAX_LINES_PER_REQUEST
from storage.batch import DayBatch
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query
from storage.drivers.influxdb.organisation import verify_organisation
from storage.errors import StoreError, StoreMissing, StoreUnavailable
from storage.models import Count, DailyAggregate, DetectorRunDaily, DurationDaily, Tag, TimeBasedDaily
from tests.support.home import CSV_CONFIG, Home
from tests.support.influxdb import LiveServer, new_influxd
from tests.support.rows import DAY, batch, duration, finding, time_based, time_based_batch

TODAY = DateRange(DAY, DAY)
HOSTILE = (
    "with \"quotes\" and 'apostrophes'",
    "in\\ner back\\\\slash\\,es, and\\ blanks",
    " comma, equals=sign , ",
    "a=b,date=2020-01-01 c=1i 0",
    "$v0 ${x} $e",
    "' OR 1=1 --",
    '" OR "a" = "a',
    "/.*/",
    "ünï çødé 客厅 🛋",
    "#comment",
    "tab\there",
)


def durations(*rows: DurationDaily) -> DayBatch:
    return batch(finding(DurationDaily, rows))


class Sparse(DailyAggregate):
    """A third party's model of which every value may be absent."""

    measurement: ClassVar[str] = "sparse_daily"
    thing: Tag
    score: Count | None = None


def test_hostile_values_come_back_as_they_were_and_match_nothing_but_themselves(influxdb: LiveServer) -> None:
    rows = [time_based(value, domain=value, occurrences=place) for place, value in enumerate(HOSTILE)]
    with influxdb.new_store() as store:
        store.replace_day(time_based_batch(*rows))
        assert sorted(store.read(TimeBasedDaily, TODAY), key=lambda row: row.occurrences) == rows
        for row in rows:
            assert store.read(TimeBasedDaily, TODAY, {"entity_id": row.entity_id}) == [row]
            assert store.read(
                TimeBasedDaily, TODAY, {"entity_id": {row.entity_id, "light.x"}, "domain": row.domain}
            ) == [row]
        grouped = store.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"}, by=["entity_id"])
        assert {group["entity_id"]: group["occurrences"] for group in grouped} == {
            row.entity_id: row.occurrences for row in rows
        }


def test_hostile_keys_are_pruned_one_by_one(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        for gone in range(len(HOSTILE)):
            store.replace_day(time_based_batch(*(time_based(value) for value in HOSTILE[gone:])))
            assert {row.entity_id for row in store.read(TimeBasedDaily, TODAY)} == set(HOSTILE[gone:])


@pytest.mark.parametrize("reason", ["two\nlines", 'a "quoted" \\ word\\', "\t end ", "", "客厅, x=1i 5"])
def test_a_text_field_comes_back_as_it_was(influxdb: LiveServer, reason: str) -> None:
    with influxdb.new_store() as store:
        store.replace_day(batch(finding(TimeBasedDaily, [], reason=reason)))
        assert [run.reason for run in store.read(DetectorRunDaily, TODAY)] == [reason]


def test_a_value_that_a_row_no_longer_has_is_gone_after_the_day_is_replaced(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        store.replace_day(durations(duration(efficiency_score=0.5, episodes=3), duration("light.hall", episodes=1)))
        store.replace_day(durations(duration(episodes=4), duration("light.hall", episodes=1)))
        assert store.read(DurationDaily, TODAY) == [duration("light.hall", episodes=1), duration(episodes=4)]


def test_a_row_whose_values_are_all_absent_is_kept_and_counted(influxdb: LiveServer) -> None:
    rows = (Sparse(date=DAY, thing="a"), Sparse(date=DAY, thing="b", score=2))
    with influxdb.new_store() as store:
        store.replace_day(batch(finding(Sparse, rows)))
        assert store.read(Sparse, TODAY) == list(rows)
        (whole,) = store.summarize(Sparse, TODAY, {"score": "count"})
        assert (whole.rows, whole["score"]) == (2, 1)


def test_points_that_another_writer_put_beside_midnight_do_not_survive_a_replacement(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        noon = "time_based_daily,date=2026-03-02,entity_id=light.kitchen,domain=light occurrences=9i 1772452800"
        connection = influxdb.connection()
        assert connection.write(store.bucket, noon) == ""
        connection.close()
        store.replace_day(time_based_batch(time_based()))
        assert store.read(TimeBasedDaily, TODAY) == [time_based()]


def test_a_day_beyond_the_retention_is_refused_with_the_names_of_its_rows(influxdb: LiveServer) -> None:
    old = dt.datetime.now(dt.UTC).date() - 40 * ONE_DAY
    with influxdb.new_store(retention_days=30) as store:
        with pytest.raises(
            StoreError, match=r"2 of 2 rows of time_based_daily .*light\.kitchen/light.*retention"
        ) as caught:
            store.replace_day(time_based_batch(time_based(day=old), time_based("light.hall", old), day=old))
        assert not caught.value.retryable
        assert "retention" in caught.value.hint
        assert store.read(DetectorRunDaily, DateRange(old, old)) == []


def test_rows_of_another_type_are_refused_by_name_while_the_others_are_written(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        connection = influxdb.connection()
        connection.write(store.bucket, "duration_daily,date=2026-03-02,entity_id=x episodes=1.5 1772409600")
        connection.close()
        with pytest.raises(StoreError, match=r"1 of 2 rows of duration_daily .*light\.hall.*type") as caught:
            store.replace_day(durations(duration(episodes=None), duration("light.hall", episodes=2)))
        assert "bucket of their own" in caught.value.hint
        assert store.read(DurationDaily, TODAY, {"entity_id": "light.kitchen"}) == [duration(episodes=None)]
        assert store.read(DetectorRunDaily, TODAY) == []


def test_a_bucket_that_is_not_there_is_an_error_never_an_empty_answer(influxdb: LiveServer) -> None:
    store = InfluxStore(influxdb.server(), "nowhere")
    with pytest.raises(StoreMissing, match="nowhere") as caught:
        store.read(TimeBasedDaily, TODAY)
    assert "init" in caught.value.hint
    with pytest.raises(StoreMissing, match="nowhere"):
        store.replace_day(time_based_batch(time_based()))
    assert "nowhere" in " ".join(store.check())
    store.close()


def test_prepare_makes_the_bucket_once_tells_a_different_retention_and_mends_it_when_asked(
    influxdb: LiveServer,
) -> None:
    name = influxdb.new_bucket(retention_days=30) + "_other"
    store = InfluxStore(influxdb.server(), name, retention_days=90)
    assert store.prepare() == [f"created bucket {name}, which keeps 90 days"]
    assert store.prepare() == []
    assert store.check() == []
    other = InfluxStore(influxdb.server(), name, retention_days=30)
    assert other.prepare() == [f"left bucket {name} as it is: it keeps 90 days, the settings say 30 days"]
    assert "keeps 90 days" in other.check()[0]
    assert other.prepare(update_retention=True) == [f"bucket {name} now keeps 30 days, not 90 days"]
    assert other.check() == []
    for_ever = InfluxStore(influxdb.server(), name, retention_days=0)
    assert for_ever.prepare(update_retention=True) == [f"bucket {name} now keeps everything, not 30 days"]
    for opened in (store, other, for_ever):
        opened.close()


@pytest.mark.slow
def test_a_large_range_arrives_in_parts_and_complete(influxdb: LiveServer) -> None:
    days = DateRange(DAY, DAY + 14 * ONE_DAY)
    with influxdb.new_store() as store:
        for day in days:
            store.replace_day(
                time_based_batch(*(time_based(f"light.l{place:04}", day) for place in range(1000)), day=day)
            )
        found = store.read(TimeBasedDaily, days)
        assert [(row.date, row.entity_id) for row in found] == [
            (day, f"light.l{place:04}") for day in days for place in range(1000)
        ]


def test_thousands_of_values_can_be_asked_for_at_once(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        store.replace_day(time_based_batch(time_based(), time_based("light.hall")))
        asked = {f"light.l{place}" for place in range(3000)} | {"light.hall"}
        assert store.read(TimeBasedDaily, TODAY, {"entity_id": asked}) == [time_based("light.hall")]


@pytest.mark.slow
@pytest.mark.parametrize("major", ["1", "2"])
def test_a_server_killed_in_mid_batch_leaves_no_marker_and_the_same_call_again_mends_it(
    tmp_path: Path, major: str
) -> None:
    process = new_influxd(major, tmp_path)
    server = process.start()
    day = time_based_batch(*(time_based(f"light.l{place:05}") for place in range(2 * MAX_LINES_PER_REQUEST)))

    class KilledAfterOneChunk(Connection):
        def write(self, bucket: str, body: str, precision: str = "s") -> str:
            refused = super().write(bucket, body)
            if TimeBasedDaily.measurement in body:
                process.stop(signal.SIGKILL)
            return refused

    try:
        bucket = server.new_bucket()
        dying = InfluxStore(KilledAfterOneChunk(server.server(), ERRORS, "store"), bucket)
        with pytest.raises(StoreUnavailable):
            dying.replace_day(day)
        dying.close()
        process.start()
        store = InfluxStore(server.server(), bucket)
        assert 0 < len(store.read(TimeBasedDaily, TODAY)) < len(day.findings[0].rows)
        assert store.read(DetectorRunDaily, TODAY) == []
        store.replace_day(day)
        assert store.read(TimeBasedDaily, TODAY) == list(day.findings[0].rows)
        assert store.read(DetectorRunDaily, TODAY) == [day.findings[0].run]
        store.close()
    finally:
        process.stop()


def test_a_token_of_another_organisation_reads_and_prunes_nothing(influxdb: LiveServer) -> None:
    """2.x writes to the organisation that is named, but reads and deletes in the token's."""
    bucket = influxdb.new_bucket()
    other = influxdb.other_organisation(bucket)
    home = InfluxStore(influxdb.server(), bucket, retention_days=0)
    home.replace_day(time_based_batch(time_based()))
    deeds: tuple[Callable[[InfluxStore], object], ...] = (
        lambda store: store.read(TimeBasedDaily, TODAY),
        lambda store: store.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"}),
        lambda store: store.replace_day(time_based_batch()),
    )
    for deed in deeds:
        stranger = InfluxStore(other.server(), bucket)
        with pytest.raises(StoreError, match="belongs to another organisation"):
            deed(stranger)
        assert any("belongs to another organisation" in problem for problem in stranger.check())
        stranger.close()
    assert home.read(TimeBasedDaily, TODAY) == [time_based()]
    assert home.check() == []
    home.close()


def test_an_empty_store_is_not_written_with_a_token_of_another_organisation(influxdb: LiveServer) -> None:
    bucket = influxdb.new_bucket()
    stranger = InfluxStore(influxdb.other_organisation(bucket).server(), bucket)
    assert stranger.read(TimeBasedDaily, TODAY) == []
    with pytest.raises(StoreError, match="not read back"):
        stranger.replace_day(time_based_batch(time_based()))
    stranger.close()


def test_a_bucket_that_only_the_named_organisation_has_is_not_called_missing(influxdb: LiveServer) -> None:
    bucket = f"test_{uuid.uuid4().hex[:12]}"
    stranger = InfluxStore(influxdb.other_organisation(bucket).server(), bucket)
    with pytest.raises(StoreError, match="belongs to another organisation"):
        stranger.read(TimeBasedDaily, TODAY)
    stranger.close()


def test_a_token_for_reading_one_bucket_is_enough_to_read(influxdb_2: LiveServer) -> None:
    bucket = "with $x ${y} \\ {} küche"
    writer = InfluxStore(influxdb_2.server(), bucket, retention_days=0)
    writer.prepare()
    writer.replace_day(time_based_batch(time_based()))
    reader = InfluxStore(replace(influxdb_2, token=influxdb_2.token_for(bucket, "read")).server(), bucket)
    assert reader.read(TimeBasedDaily, TODAY) == [time_based()]
    with pytest.raises(StoreError):
        reader.replace_day(time_based_batch())
    reader.close()
    writer.close()


def test_a_row_belongs_to_its_date_though_another_writer_put_it_beside_midnight(influxdb: LiveServer) -> None:
    """The story's client writes a local midnight, which may lie on the day before or after in UTC."""
    with influxdb.new_store() as store:
        for zone in (dt.timezone(dt.timedelta(hours=14)), dt.timezone(dt.timedelta(hours=-12))):
            at = dt.datetime.combine(DAY, dt.time(), zone).astimezone(dt.UTC)
            put(influxdb, store.bucket, time_based(zone.tzname(None)), at)
        undated = line(time_based("light.undated")).replace(f",date={DAY}", "")
        assert influxdb.connection().write(store.bucket, undated) == ""
        for days, rows in (
            (TODAY, 2),
            (DateRange(DAY - ONE_DAY, DAY - ONE_DAY), 0),
            (DateRange(DAY, DAY + ONE_DAY), 2),
        ):
            assert [row.date for row in store.read(TimeBasedDaily, days)] == [DAY] * rows
            summaries = store.summarize(TimeBasedDaily, days, {"occurrences": "sum"})
            assert sum(one.rows for one in summaries) == rows
        store.replace_day(time_based_batch(time_based("light.a")))
        assert store.read(TimeBasedDaily, TODAY) == [time_based("light.a")]
        (summary,) = store.summarize(TimeBasedDaily, DateRange(DAY - ONE_DAY, DAY + ONE_DAY), {"occurrences": "sum"})
        assert summary.rows == 1


def test_of_two_points_of_one_row_the_one_at_midnight_counts(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        for hours, occurrences in ((-11, 1), (0, 2), (11, 3)):
            at = dt.datetime.combine(DAY, dt.time(), dt.UTC) + dt.timedelta(hours=hours)
            put(influxdb, store.bucket, time_based(occurrences=occurrences), at)
        assert [row.occurrences for row in store.read(TimeBasedDaily, TODAY)] == [2]


def put(server: LiveServer, bucket: str, row: TimeBasedDaily, at: dt.datetime) -> None:
    """Write a row as its date's, but at another time."""
    connection = server.connection()
    assert connection.write(bucket, f"{line(row).rpartition(' ')[0]} {int(at.timestamp())}") == ""
    connection.close()


@pytest.mark.parametrize("days", [3, 7, 0])
def test_a_short_retention_has_short_shards(influxdb: LiveServer, days: int) -> None:
    store = InfluxStore(influxdb.server(), f"test_{uuid.uuid4().hex[:12]}", retention_days=days)
    assert "created bucket" in store.prepare()[0]
    assert store.prepare() == []
    longer = InfluxStore(influxdb.server(), store.bucket, retention_days=90)
    assert "now keeps 90 days" in longer.prepare(update_retention=True)[0]
    assert "now keeps" in store.prepare(update_retention=True)[0]
    assert store.prepare() == []
    store.close()
    longer.close()


@pytest.mark.parametrize("named", [False, True])
def test_the_policy_of_a_database_is_mended_whatever_its_name(influxdb_1: LiveServer, named: bool) -> None:
    database = f"test_{uuid.uuid4().hex[:12]}"
    ask(influxdb_1, f'CREATE DATABASE "{database}" WITH DURATION 30d NAME "monthly"')
    ask(influxdb_1, f'CREATE RETENTION POLICY "autogen" ON "{database}" DURATION INF REPLICATION 1')
    store = InfluxStore(influxdb_1.server(), f"{database}/autogen" if named else database, retention_days=3650)
    (message,) = store.prepare(update_retention=True)
    assert message.endswith("now keeps 3650 days, not " + ("everything" if named else "30 days"))
    assert store.prepare() == []
    store.replace_day(time_based_batch(time_based()))
    assert store.read(TimeBasedDaily, TODAY) == [time_based()]
    kept = {policy: duration for policy, duration, *_ in ask(influxdb_1, f'SHOW RETENTION POLICIES ON "{database}"')}
    assert kept == {"monthly": "720h0m0s" if named else "87600h0m0s", "autogen": "87600h0m0s" if named else "0s"}
    store.close()


def test_a_database_without_a_policy_is_given_one(influxdb_1: LiveServer) -> None:
    database = influxdb_1.new_bucket()
    ask(influxdb_1, f'DROP RETENTION POLICY "autogen" ON "{database}"')
    store = InfluxStore(influxdb_1.server(), database, retention_days=3650)
    assert "now keeps 3650 days" in store.prepare(update_retention=True)[0]
    named = InfluxStore(influxdb_1.server(), f"{database}/aggregates", retention_days=3000)
    assert named.prepare() == [f"created bucket {database}/aggregates, which keeps 3000 days"]
    named.replace_day(time_based_batch(time_based()))
    assert store.read(TimeBasedDaily, TODAY) == []
    assert named.read(TimeBasedDaily, TODAY) == [time_based()]
    store.close()
    named.close()


def ask(server: LiveServer, text: str) -> list[list[Any]]:
    connection = server.connection()
    found = connection.execute(
        Query("", text, streamed=False), lambda parts: [row for part in parts for row in part.values]
    )
    connection.close()
    return found


def test_a_field_that_another_writer_named_like_a_tag_hides_no_row(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        store.replace_day(time_based_batch(time_based(), time_based("light.hall")))
        with closing(influxdb.connection()) as connection:
            foreign = f'{line(time_based("light.hall")).rpartition(" ")[0]},entity_id="x",date="y" '
            assert connection.write(store.bucket, f"{foreign}{midnight_seconds(DAY)}") == ""
        assert store.read(TimeBasedDaily, TODAY) == [time_based("light.hall"), time_based()]
        assert store.read(TimeBasedDaily, TODAY, {"entity_id": "light.hall"}) == [time_based("light.hall")]
        (summary,) = store.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"})
        assert summary["occurrences"] == 24
        store.replace_day(time_based_batch(time_based()))
        assert store.read(TimeBasedDaily, TODAY) == [time_based()]


@pytest.mark.slow
def test_no_number_of_values_or_days_is_too_large_to_read(influxdb: LiveServer) -> None:
    ever = DateRange(dt.date.min, dt.date.max)
    names = [f"light.{number}" for number in range(12_000)]
    with influxdb.new_store() as store:
        store.replace_day(time_based_batch(time_based("light.3"), time_based("light.9000"), time_based("light.x")))
        found = store.read(TimeBasedDaily, ever, {"entity_id": names, "domain": [*names, "light"]})
        assert [row.entity_id for row in found] == ["light.3", "light.9000"]
        (summary,) = store.summarize(TimeBasedDaily, ever, {"occurrences": "sum"})
        assert (summary["occurrences"], summary.rows) == (36, 3)
        assert store.summarize(DurationDaily, ever, {"episodes": "sum"}) == []
        (summary,) = store.summarize(TimeBasedDaily, ever, {"occurrences": "sum"}, where={"entity_id": names})
        assert (summary["occurrences"], summary.rows) == (24, 2)


def test_rows_in_another_policy_of_the_database_are_not_deleted_with_ours(influxdb_1: LiveServer) -> None:
    database = influxdb_1.new_bucket()
    with closing(influxdb_1.connection()) as connection:
        buckets.create(connection, f"{database}/other", 0)
    ours, theirs = (InfluxStore(influxdb_1.server(), bucket) for bucket in (database, f"{database}/other"))
    with closing(ours), closing(theirs):
        ours.replace_day(time_based_batch(time_based(), time_based("light.hall")))
        theirs.replace_day(time_based_batch(time_based("light.hall", ONE_DAY + DAY), day=ONE_DAY + DAY))
        ours.replace_day(time_based_batch(time_based()))
        assert ours.read(TimeBasedDaily, TODAY) == [time_based()]
        theirs.replace_day(time_based_batch(time_based(), time_based("light.hall")))
        with pytest.raises(StoreError, match=r"/other holds rows of time_based_daily on 2026-03-02 too") as caught:
            ours.replace_day(time_based_batch())
        assert "database of their own" in caught.value.hint
        assert len(theirs.read(TimeBasedDaily, TODAY)) == 2


def test_a_mapping_to_another_bucket_is_named(influxdb_2: LiveServer) -> None:
    name, other = influxdb_2.new_bucket(), influxdb_2.new_bucket()
    with closing(influxdb_2.connection()) as connection:
        found = buckets.find_bucket(connection, other)
        assert found
        mapping = {"org": influxdb_2.org, "bucketID": found.id, "database": name, "retention_policy": "x"}
        influxdb_2.post("/api/v2/dbrps", {**mapping, "default": True})
    store = InfluxStore(influxdb_2.server(), name, retention_days=0)
    with closing(store):
        with pytest.raises(StoreError, match="a DBRP mapping maps database") as caught:
            store.replace_day(time_based_batch(time_based()))
        assert found.id in str(caught.value)
        assert "Delete the mapping" in caught.value.hint
        assert "a DBRP mapping maps database" in store.check()[0]


def test_points_of_others_with_more_tags_or_fewer_do_not_stop_a_day(influxdb: LiveServer) -> None:
    with influxdb.new_store() as store:
        first, second, third = (line(time_based(name)) for name in ("light.a", "light.b", "light.c"))
        foreign = (
            first.replace(",domain=light", ",domain=light,host=x"),
            second.replace(",domain=light", ""),
            third.replace(",entity_id=light.c", ""),
        )
        with closing(influxdb.connection()) as connection:
            assert connection.write(store.bucket, "\n".join(foreign)) == ""
        for _ in range(2):
            store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b", occurrences=3)))
            expected = [time_based("light.a"), time_based("light.b", occurrences=3)]
            assert store.read(TimeBasedDaily, TODAY) == expected
        (summary,) = store.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"}, where={"entity_id": "light.a"})
        assert (summary["occurrences"], summary.rows) == (12, 1)


def test_a_row_that_loses_a_value_is_there_all_the_while(influxdb: LiveServer) -> None:
    names = [f"light.{number}" for number in range(100)]
    with influxdb.new_store() as store, ThreadPoolExecutor(1) as pool:
        store.replace_day(durations(*(duration(name, efficiency_score=0.5) for name in names)))
        over = threading.Event()

        def watch() -> set[int]:
            with closing(InfluxStore(influxdb.server(), store.bucket, retention_days=0, read_only=True)) as reader:
                seen = set()
                while not over.is_set():
                    seen.add(len(reader.read(DurationDaily, TODAY)))
                return seen

        seen = pool.submit(watch)
        for score in (None, 0.5, None, 0.5, None):
            store.replace_day(durations(*(duration(name, efficiency_score=score) for name in names)))
        over.set()
        assert seen.result() == {len(names)}
        assert {row.efficiency_score for row in store.read(DurationDaily, TODAY)} == {None}


@pytest.mark.parametrize(
    "fields",
    [
        'state="line\u2028separator \x85 \x0c and \rreturn"',
        "n=9223372036854775807i",
        'x=1,entity_id="a field"',
        "_under=1",
    ],
)
def test_the_right_token_is_not_doubted_whatever_the_newest_point_holds(influxdb: LiveServer, fields: str) -> None:
    bucket = influxdb.new_bucket()
    with closing(influxdb.connection()) as connection:
        assert connection.write(bucket, f"any,entity_id=x {fields} 1772452800") == ""
        verify_organisation(connection, bucket)


def test_the_measurement_that_a_bucket_has_lost_is_noticed_and_repaired(tmp_path: Path, influxdb: LiveServer) -> None:
    server, bucket = influxdb.server(), influxdb.new_bucket()
    store = f'kind = "influxdb"\nurl = "{server.url}"\norg = "{server.org}"\nbucket = "{bucket}"\n'
    store += f'token = "{server.token.get_secret_value()}"\n'
    home = Home(tmp_path, CSV_CONFIG.replace('url = "sqlite:///aggregates.db"\n', store))
    assert home.call("init").exit_code == 0
    assert home.call("backfill", "2026-03-02").exit_code == 0
    with closing(influxdb.connection()) as connection:
        connection.execute(Query(bucket, "DELETE FROM time_based_daily", streamed=False), list)
    for words in (["status"], ["health"]):
        result = home.call(*words)
        said = " ".join(result.output.split())
        assert result.exit_code == 1, said
        assert "of 1 of them it lacks only rows" in said
        assert "backfill 2026-03-02 2026-03-02 --redo lost" in said
    assert home.call("backfill", "2026-03-02", "2026-03-02", "--redo", "lost").exit_code == 0
    assert home.call("status").exit_code == 0
