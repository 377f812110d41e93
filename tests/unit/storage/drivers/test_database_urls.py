"""Which database URLs are accepted, and what is said about the others."""

from __future__ import annotations

import sys

import pytest

from storage.drivers import sql_urls
from storage.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("mysql://ha:secret@db/homeassistant?charset=utf8mb4", "mysql+pymysql"),
        ("mariadb://ha@db/homeassistant", "mariadb+pymysql"),
        ("postgres://ha@db/homeassistant", "postgresql+psycopg"),
        ("postgresql://ha@db/homeassistant", "postgresql+psycopg"),
        ("mysql+pymysql://ha@db/homeassistant", "mysql+pymysql"),
        ("sqlite:///home-assistant_v2.db", "sqlite"),
    ],
)
def test_a_url_without_a_driver_gets_the_one_of_this_projects_extra(url: str, driver: str) -> None:
    assert sql_urls.parse_url(url, "source.url").drivername == driver


@pytest.mark.parametrize(
    ("url", "module", "driver", "extra"),
    [
        ("mysql://ha@db/ha", "pymysql", "pymysql", "pattern-aggregates[mysql]"),
        ("mariadb://ha@db/ha", "pymysql", "pymysql", "pattern-aggregates[mysql]"),
        ("postgres://ha@db/ha", "psycopg", "psycopg", "pattern-aggregates[postgresql]"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, driver: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsError, match=driver) as caught:
        sql_urls.parse_url(url, "source.url")
    assert extra in caught.value.hint


def test_another_driver_that_is_not_installed_is_named_with_a_url_that_works() -> None:
    with pytest.raises(SettingsError, match="mysqldb") as caught:
        sql_urls.parse_url("mysql+mysqldb://ha@db/ha", "source.url")
    assert "mysql+pymysql://" in caught.value.hint


@pytest.mark.parametrize("url", ["", "not a url", "oracle9://x", "mysql+nothing://x"])
def test_a_url_that_is_not_valid_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(SettingsError, match=r"source\.url: not a (valid|supported) database") as caught:
        sql_urls.parse_url(url, "source.url")
    assert "sqlite:///folder/file.db" in caught.value.hint
