"""``doctor`` tries what the job will do in PostgreSQL, and leaves nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.errors import SettingsError, StoreUnavailable
from tests.support.home import Home
from tests.support.postgresql import Cluster, new_database
from tests.support.rows import time_based, time_based_batch


@pytest.fixture
def database(postgresql: Cluster) -> sa.URL:
    return new_database(postgresql.url)


@pytest.fixture
def role(database: sa.URL) -> str:
    """An account that may connect and nothing else."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {name} LOGIN")
    return name


def execute(database: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def tables(database: sa.URL) -> list[str]:
    engine = sa.create_engine(database)
    found = sa.inspect(engine).get_table_names()
    engine.dispose()
    return found


@contextmanager
def store_at(url: sa.URL, *, read_only: bool = False) -> Iterator[SqlStore]:
    with closing(SqlStore(url.render_as_string(), read_only=read_only)) as store:
        yield store


def problems(url: sa.URL) -> list[str]:
    with store_at(url, read_only=True) as store:
        return store.check()


def test_an_account_with_all_rights_has_no_problem_and_nothing_is_created(database: sa.URL, role: str) -> None:
    execute(database, f"GRANT CREATE ON SCHEMA public TO {role}")
    url = database.set(username=role)
    assert problems(url) == []
    assert tables(database) == []
    with store_at(url) as store:
        store.replace_day(time_based_batch(time_based()))
    assert problems(url) == []


def test_an_account_that_cannot_create_tables_is_a_problem(database: sa.URL, role: str) -> None:
    url = database.set(username=role)
    (problem,) = problems(url)
    assert "permission denied for schema public" in problem
    assert "CREATE on the schema" in problem
    with store_at(url) as store, pytest.raises(SettingsError, match="permission denied"):
        store.prepare()


@pytest.mark.parametrize("missing", ["SELECT", "INSERT", "UPDATE", "DELETE"])
def test_an_account_that_lacks_one_right_is_a_problem(database: sa.URL, role: str, missing: str) -> None:
    execute(database, f"GRANT CREATE ON SCHEMA public TO {role}")
    with store_at(database.set(username=role)) as store:
        store.prepare()
    execute(database, f"REVOKE {missing} ON duration_daily FROM {role}")
    (problem,) = problems(database.set(username=role))
    assert "permission denied for table duration_daily" in problem
    execute(database, f"GRANT {missing} ON duration_daily TO {role}")
    assert problems(database.set(username=role)) == []


def test_an_account_that_may_fill_the_tables_but_not_add_a_month_is_a_problem(database: sa.URL, role: str) -> None:
    with store_at(database) as store:
        store.prepare()
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
    )
    (problem,) = problems(database.set(username=role))
    assert "must be owner of table" in problem
    assert "be the owner of the tables" in problem


def test_a_server_that_takes_no_writes_is_a_problem(database: sa.URL, role: str) -> None:
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role}",
        f"ALTER ROLE {role} SET default_transaction_read_only = on",
    )
    url = database.set(username=role)
    (problem,) = problems(url)
    assert "read-only transaction" in problem
    assert "standby" in problem
    with store_at(url) as store, pytest.raises(StoreUnavailable, match="read-only"):
        store.prepare()


def test_a_search_path_without_a_schema_is_a_problem(database: sa.URL, role: str) -> None:
    execute(database, f"ALTER ROLE {role} SET search_path = nowhere")
    (problem,) = problems(database.set(username=role))
    assert "no schema of the search_path exists" in problem


def test_rows_are_as_before_after_a_check(database: sa.URL) -> None:
    with store_at(database) as store:
        store.replace_day(time_based_batch(time_based()))
        engine = sa.create_engine(database)
        query = sa.text("SELECT xmin, * FROM time_based_daily")
        with engine.connect() as connection:
            before = connection.execute(query).all()
            assert store.check() == []
            assert connection.execute(query).all() == before
        engine.dispose()


def test_doctor_reports_it(tmp_path: Path, database: sa.URL, role: str) -> None:
    home = Home(tmp_path)
    url = database.set(username=role).render_as_string()
    home.config.write_text(home.config.read_text().replace("sqlite:///aggregates.db", url))
    found = {check["about"]: check for check in home.json("doctor", "--json", exit_code=1)["checks"]}
    assert found["store"]["verdict"] == "problem"
    assert "permission denied" in found["store"]["found"]


def test_a_database_that_cannot_be_a_store_is_refused() -> None:
    with pytest.raises(SettingsError, match="mysql is not supported as a store"):
        SqlStore("mysql+pymysql://tester@127.0.0.1/x")


@pytest.mark.parametrize("words", [("init",), ("run",), ("query", "time_based", "2026-03-02"), ("doctor",)])
def test_a_variable_whose_address_is_refused_only_at_the_first_use_is_named(
    tmp_path: Path, database: sa.URL, role: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, f"REVOKE CONNECT ON DATABASE {database.database} FROM PUBLIC")
    variable = "PATTERN_AGGREGATES__STORE__URL"
    monkeypatch.setenv(variable, database.set(username=role).render_as_string())
    result = Home(tmp_path).call(*words)
    assert result.exit_code in (1, 78), result.output
    assert f"set by {variable}" in " ".join(result.output.split())
    assert result.output.count("permission denied for database") <= 2  # as logged, and in the report
