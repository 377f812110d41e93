"""Source, ledger and store of one home belong together; what belongs to another home is refused, never mixed in."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from storage.query import HomeMismatch, TimeBasedDaily, open_query
from tests.support.home import CSV_CONFIG, EVENTS, Home

DAY = "2026-03-02"
EXIT_SETTINGS = 78
EVENTS_OF_THREE = EVENTS + "2026-03-02T08:00:00,media_player.tv,on,,\n2026-03-02T09:00:00,media_player.tv,off,,\n"
READERS = (
    ("status",),
    ("health",),
    ("doctor",),
    ("query", "time_based_daily", DAY),
    ("explain", "time_based_daily", DAY),
    ("backfill", DAY, "--dry-run"),
)
WRITERS = (("run",), ("backfill", DAY), ("init",), ("serve",))


def config(*, store: str = "aggregates.db", ledger: str = "ledger.db", path: str = "events.csv", zone: str = "") -> str:
    """The settings of the test's home with another store, ledger, source or zone."""
    text = CSV_CONFIG.replace('"sqlite:///aggregates.db"', f'"sqlite:///{store}"').replace('"ledger.db"', f'"{ledger}"')
    return text.replace('"events.csv"', f'"{path}"').replace("Europe/Berlin", zone or "Europe/Berlin")


def computed(folder: Path, text: str = CSV_CONFIG, events: str = EVENTS) -> Home:
    """A home whose only day is computed."""
    folder.mkdir(exist_ok=True)
    home = Home(folder, text, events)
    home.call("init")
    result = home.call("backfill", DAY)
    assert result.exit_code == 0, result.output
    return home


def other_events() -> str:
    """The events of another home, with other entities at the same instants."""
    return EVENTS.replace("light.kitchen", "switch.pump").replace("binary_sensor.motion", "cover.blind") + (
        "2026-03-02T08:00:00,fan.bath,on,,\n2026-03-02T09:00:00,fan.bath,off,,\n"
    )


def rows_of(file: Path) -> list[object]:
    """Every row of an SQLite store, and the home that it belongs to."""
    with closing(sqlite3.connect(file)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        queries = {name: f'SELECT * FROM "{name}"' for name in names}  # noqa: S608 - names of the file's own tables
        return [(name, sorted(connection.execute(queries[name]).fetchall(), key=repr)) for name in names]


def delete_ledger(home: Home) -> None:
    for file in home.folder.glob("ledger.db*"):
        file.unlink()


def status(home: Home) -> set[str]:
    """What ``status`` says of the detectors on the day."""
    return {cell["status"] for cell in home.json("status", DAY, "--json")[0]["detectors"].values()}


def homes_of(home: Home) -> tuple[object, object]:
    """The home that the ledger names, and the one that the store names."""
    with closing(sqlite3.connect(home.folder / "ledger.db")) as connection:
        (ledger,) = connection.execute("SELECT identity FROM home").fetchone()
    with closing(sqlite3.connect(home.folder / "aggregates.db")) as connection:
        (store,) = connection.execute("SELECT identity FROM aggregate_home").fetchone()
    return json.loads(ledger), json.loads(store)


def refused(home: Home, *words: str) -> str:
    """What a command says that must end with 78."""
    result = home.call(*words)
    assert result.exit_code == EXIT_SETTINGS, (words, result.output)
    return " ".join(result.output.split())


def test_a_second_home_with_a_ledger_of_its_own_leaves_the_store_of_the_first_alone(tmp_path: Path) -> None:
    first = computed(tmp_path / "first")
    store = first.folder / "aggregates.db"
    (tmp_path / "second").mkdir()
    second = Home(tmp_path / "second", config(store=str(store)), other_events())
    before = rows_of(store)
    for words in (*WRITERS, *READERS):
        said = refused(second, *words)
        assert str(first.folder / "events.csv") in said, "the first home is named"
        assert str(second.folder / "events.csv") in said, "the second home is named"
        assert "Name a store of its own" in said or "name a store of its own" in said
    assert rows_of(store) == before
    assert first.call("run", "--day", DAY).exit_code == 0


def test_a_home_that_was_computed_elsewhere_is_refused_by_the_store_of_another(tmp_path: Path) -> None:
    first, second = computed(tmp_path / "first"), computed(tmp_path / "second", events=other_events())
    store = first.folder / "aggregates.db"
    before = rows_of(store)
    second.config.write_text(config(store=str(store)))
    for words in (*WRITERS, *READERS):
        said = refused(second, *words)
        assert str(first.folder / "events.csv") in said
        assert str(second.folder / "events.csv") in said
        assert "init --adopt store" in said
    with open_query(config=second.config) as aggregates, pytest.raises(HomeMismatch, match="belongs to home"):
        aggregates.daily(TimeBasedDaily, DAY)
    assert rows_of(store) == before


def test_another_source_under_the_same_ledger_and_store_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    home = computed(tmp_path / "home")
    (home.folder / "moved.csv").write_text(EVENTS)
    home.config.write_text(config(path="moved.csv"))
    before = rows_of(home.folder / "aggregates.db")
    for words in (*WRITERS, *READERS):
        said = refused(home, *words)
        assert "events.csv" in said
        assert "moved.csv" in said
        assert "init --adopt source" in said
    assert rows_of(home.folder / "aggregates.db") == before
    adopted = home.call("init", "--adopt", "source")
    assert adopted.exit_code == 0, adopted.output
    assert "moved.csv now" in " ".join(adopted.output.split())
    assert home.call("backfill", DAY, "--redo", "all").exit_code == 0
    assert home.call("status", DAY).exit_code == 0


def test_the_events_of_another_home_at_the_same_place_are_refused_until_they_are_adopted(tmp_path: Path) -> None:
    home = computed(tmp_path / "home", events=EVENTS_OF_THREE)
    (home.folder / "events.csv").write_text(other_events())
    before = rows_of(home.folder / "aggregates.db")
    said = refused(home, "backfill", DAY, "--redo", "all")
    assert "holds the events of another home on 2026-03-02" in said
    assert "knows 0 of the 3 entities, such as cover.blind" in said
    assert "init --adopt source" in said
    assert rows_of(home.folder / "aggregates.db") == before
    assert home.call("init", "--adopt", "source").exit_code == 0
    assert home.call("backfill", DAY, "--redo", "all").exit_code == 0


def test_another_zone_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    home = computed(tmp_path / "home")
    home.config.write_text(config(zone="Asia/Tokyo"))
    for words in (*WRITERS, *READERS):
        said = refused(home, *words)
        assert "Europe/Berlin" in said
        assert "Asia/Tokyo" in said
        assert "init --adopt zone" in said
    adopted = home.call("init", "--adopt", "zone")
    assert adopted.exit_code == 0, adopted.output
    assert "Asia/Tokyo" in adopted.output
    assert home.call("status", DAY).exit_code == 0
    assert home.call("backfill", DAY, "--redo", "all").exit_code == 0


def test_one_ledger_under_a_second_store_is_refused_until_that_store_is_adopted(tmp_path: Path) -> None:
    home = computed(tmp_path / "home")
    home.config.write_text(config(store="second.db"))
    for words in (*WRITERS, *READERS[:3]):
        said = refused(home, *words)
        assert "lists 1 day as written" in said
        assert "aggregates.db" in said
        assert "second.db" in said
        assert "init --adopt store" in said
    adopted = home.call("init", "--adopt", "store")
    assert adopted.exit_code == 0, adopted.output
    assert "the next run computes those" in " ".join(adopted.output.split())
    assert status(home) == {"lost"}
    assert home.call("backfill", DAY).exit_code == 0
    assert status(home) == {"written"}
    home.config.write_text(CSV_CONFIG)
    assert home.call("status", DAY).exit_code == 0, "both stores are this home's now"


def test_a_deleted_ledger_is_noticed_and_the_command_that_is_named_rebuilds_it(tmp_path: Path) -> None:
    home = computed(tmp_path / "home")
    delete_ledger(home)
    assert "doctor --rebuild-ledger" in refused(home, "status")
    assert home.call("doctor", "--rebuild-ledger").exit_code == 0
    assert status(home) == {"written"}
    assert home.call("run", "--day", DAY).exit_code == 0
    assert homes_of(home)[0] == homes_of(home)[1]


def test_rows_of_this_home_can_be_read_without_its_ledger(tmp_path: Path) -> None:
    home = computed(tmp_path / "home")
    delete_ledger(home)
    for words in (("query", "time_based_daily", DAY), ("explain", "time_based_daily", DAY)):
        result = home.call(*words)
        assert result.exit_code == 0, (words, result.output)


@pytest.mark.parametrize("words", [("run", "--day", DAY), ("backfill", DAY), ("init",)])
def test_a_deleted_ledger_of_this_home_is_rebuilt_by_the_next_command_that_writes(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    home = computed(tmp_path / "home")
    before = rows_of(home.folder / "aggregates.db")
    delete_ledger(home)
    result = home.call(*words)
    said = " ".join(result.output.split())
    assert result.exit_code == 0, said
    assert "was lost, and is rebuilt from the store: 8 detector days" in said
    assert status(home) == {"written"}
    assert rows_of(home.folder / "aggregates.db") == before, "nothing was computed again"
    assert homes_of(home)[0] == homes_of(home)[1]


def test_a_deleted_ledger_is_not_rebuilt_for_another_home_with_the_same_settings(tmp_path: Path) -> None:
    """As in two containers with the same paths that share a store."""
    home = computed(tmp_path / "home", events=EVENTS_OF_THREE)
    before = rows_of(home.folder / "aggregates.db")
    delete_ledger(home)
    (home.folder / "events.csv").write_text(other_events())
    assert "another home" in refused(home, "backfill", DAY, "--redo", "all")
    assert rows_of(home.folder / "aggregates.db") == before


def test_a_ledger_is_not_rebuilt_from_the_store_of_another_home(tmp_path: Path) -> None:
    first = computed(tmp_path / "first")
    (tmp_path / "second").mkdir()
    second = Home(tmp_path / "second", config(store=str(first.folder / "aggregates.db")), other_events())
    assert "belongs to home" in refused(second, "doctor", "--rebuild-ledger")


def test_a_home_whose_ledger_and_source_were_both_lost_can_go_on(tmp_path: Path) -> None:
    home = computed(tmp_path / "home")
    (home.folder / "ledger.db").unlink()
    (home.folder / "moved.csv").write_text(EVENTS)
    home.config.write_text(config(path="moved.csv"))
    said = refused(home, "run")
    assert "init --adopt ledger --adopt source" in said
    adopted = home.call("init", "--adopt", "ledger", "--adopt", "source")
    assert adopted.exit_code == 0, adopted.output
    assert "8 detector days" in adopted.output
    assert home.call("run", "--day", DAY).exit_code == 0


def test_two_homes_can_be_joined_deliberately_in_either_direction(tmp_path: Path) -> None:
    for adoption in ("store", "ledger"):
        folder = tmp_path / adoption
        folder.mkdir()
        first, second = computed(folder / "first"), computed(folder / "second")
        second.config.write_text(config(store=str(first.folder / "aggregates.db")))
        assert "init --adopt" in refused(second, "run")
        adopted = second.call("init", "--adopt", adoption, "--adopt", "source")
        assert adopted.exit_code == 0, adopted.output
        assert second.call("backfill", DAY, "--redo", "all").exit_code == 0
        assert first.call("run", "--day", DAY).exit_code == EXIT_SETTINGS, "the store has one home"


def test_a_folder_that_is_moved_as_a_whole_needs_no_command(tmp_path: Path) -> None:
    home = computed(tmp_path / "here")
    shutil.move(home.folder, tmp_path / "there")
    moved = Home(tmp_path / "there")
    for words in (("run", "--day", DAY), ("status", DAY), ("query", "time_based_daily", DAY)):
        result = moved.call(*words)
        assert result.exit_code == 0, result.output
    assert moved.call("init").output.strip() == "nothing to change"


def test_the_settings_of_one_folder_do_not_fit_the_ledger_of_another(tmp_path: Path) -> None:
    """Both name their source by the same relative path."""
    first = computed(tmp_path / "first")
    (tmp_path / "second").mkdir()
    store, ledger = first.folder / "aggregates.db", first.folder / "ledger.db"
    second = Home(tmp_path / "second", config(store=str(store), ledger=str(ledger)), EVENTS)
    assert "init --adopt source" in refused(second, "run")


@pytest.mark.parametrize("words", [*WRITERS, ("status",), ("health",), ("doctor",)])
@pytest.mark.parametrize("text", [None, '[home]\ntime_zone = "Europe/Berlin"\n'])
def test_without_a_source_that_is_named_nothing_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], text: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "home.toml").write_text(text)
    options = ["--config", "home.toml"] if text else []
    result = CliRunner().invoke(app.app, [*options, *words], prog_name="pattern-aggregates")
    assert result.exit_code == EXIT_SETTINGS, result.output
    assert "no source of raw events is named" in result.output
    assert "pattern-aggregates demo" in result.output
    assert [file.name for file in tmp_path.iterdir()] == (["home.toml"] if text else [])


def test_a_store_and_a_ledger_of_an_earlier_version_get_an_identity_if_they_agree(tmp_path: Path) -> None:
    home = computed(tmp_path / "home", events=EVENTS_OF_THREE)
    _forget_homes(home)
    assert home.call("status", DAY).exit_code == 0, "a reader changes nothing"
    result = home.call("init")
    assert result.exit_code == 0, result.output
    assert "the store belongs to home" in result.output
    assert "the ledger belongs to home" in result.output
    (home.folder / "events.csv").write_text(other_events().replace("fan.bath", "fan.cellar"))
    assert "another home" in refused(home, "backfill", DAY, "--redo", "all"), "the store's entities are known"


def test_a_store_of_an_earlier_version_with_the_rows_of_another_home_gets_no_identity(tmp_path: Path) -> None:
    first, second = computed(tmp_path / "first"), computed(tmp_path / "second", events=other_events())
    for home in (first, second):
        _forget_homes(home)
    second.config.write_text(config(store=str(first.folder / "aggregates.db")))
    before = rows_of(first.folder / "aggregates.db")
    for words in (("run",), ("init",), ("status",)):
        assert "has not written" in refused(second, *words)
    (second.folder / "ledger.db").unlink()
    assert "name a store of its own" in refused(second, "run").lower()
    assert rows_of(first.folder / "aggregates.db") == before


def _forget_homes(home: Home) -> None:
    """Take the identity away, as in a store and a ledger of an earlier version that were upgraded."""
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE aggregate_home")
    with closing(sqlite3.connect(home.folder / "ledger.db", isolation_level=None)) as connection:
        connection.executescript("DELETE FROM home; DELETE FROM known_entity")


def test_status_notices_a_source_whose_content_was_replaced_in_place(tmp_path: Path) -> None:
    home = computed(tmp_path / "home", events=EVENTS_OF_THREE)
    (home.folder / "events.csv").write_text(other_events())
    assert "the source holds the events of another home" in refused(home, "status")
    late = EVENTS_OF_THREE + "2026-03-02T20:00:00,light.new,off,,\n2026-03-02T21:00:00,light.new,on,,\n"
    (home.folder / "events.csv").write_text(late)
    assert home.call("status").exit_code == 0


def test_other_programs_without_a_ledger_are_refused_the_store_of_another_home(tmp_path: Path) -> None:
    first = computed(tmp_path / "first")
    store = first.folder / "aggregates.db"
    (tmp_path / "second").mkdir()
    second = Home(tmp_path / "second", config(store=str(store)), other_events())
    with open_query(config=second.config) as aggregates, pytest.raises(HomeMismatch) as refusal:
        aggregates.daily(TimeBasedDaily, DAY)
    for named in (first.folder / "events.csv", second.folder / "events.csv"):
        assert str(named) in str(refusal.value)
    delete_ledger(first)
    with open_query(config=first.config) as aggregates:
        assert aggregates.daily(TimeBasedDaily, DAY)


def test_settings_without_a_source_may_read_any_store(tmp_path: Path) -> None:
    first = computed(tmp_path / "first")
    reader = tmp_path / "reader.toml"
    reader.write_text(f'[store]\nurl = "sqlite:///{first.folder / "aggregates.db"}"\n')
    with open_query(config=reader) as aggregates:
        assert aggregates.daily(TimeBasedDaily, DAY)
