"""The influxdb kind of store in the settings: chosen by kind, token hidden, problems told with the nearest name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storage.backends.influxdb.two_buckets import TwoBuckets
from storage.connect import open_store
from storage.errors import SettingsError
from storage.settings import InfluxStoreSettings, SqlStoreSettings, StoreSettings, store_settings
from storage.settings_file import Document, load_document

SECRET = "nobody-may-see-this"  # noqa: S105 - that is what the tests are about


def settings_of(tmp_path: Path, **store: object) -> StoreSettings:
    return store_settings(Document({"store": store}, tmp_path, "a test"))


def test_without_a_kind_the_store_is_sql(tmp_path: Path) -> None:
    assert isinstance(settings_of(tmp_path, url="sqlite:///a.db"), SqlStoreSettings)
    assert isinstance(settings_of(tmp_path), SqlStoreSettings)


def test_a_store_of_kind_influxdb_is_opened_without_asking_the_server(tmp_path: Path) -> None:
    store = open_store(settings_of(tmp_path, kind="influxdb", url="http://127.0.0.1:1", org="home", token=SECRET))
    assert isinstance(store, TwoBuckets)
    assert (store.daily.bucket, store.rollups.bucket) == ("pattern_aggregates_daily", "pattern_aggregates_rollups")
    store.close()


def test_the_token_comes_from_a_secret_file_or_the_environment_and_is_shown_nowhere(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[store]\nkind = "influxdb"\norg = "home"\n', encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "pattern_aggregates__store__token"
    for environ, in_file in (({}, True), ({"PATTERN_AGGREGATES__STORE__TOKEN": SECRET}, False)):
        secret.write_text(f"{SECRET}\n", encoding="utf-8") if in_file else secret.unlink()
        found = store_settings(load_document(config, environ=environ, secrets=tmp_path / "secrets"))
        assert isinstance(found, InfluxStoreSettings)
        assert found.token.get_secret_value() == SECRET
        assert SECRET not in repr(found) + str(found) + found.model_dump_json()


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ({"kind": "influxdb", "bukket": "x"}, r"store\.bukket: unknown key; did you mean 'bucket'"),
        ({"kind": "influxdb", "timeout_seconds": 0}, r"store\.timeout_seconds: .*greater than 0"),
        ({"kind": "influxdb", "bucket": ""}, r"store\.bucket"),
        ({"kind": "sql", "uri": "x"}, r"store\.uri: unknown key; did you mean 'url'"),
        ({"kind": "influx"}, r"store\.kind: .*'influxdb'"),
    ],
)
def test_a_wrong_setting_is_told_by_its_place(tmp_path: Path, store: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        settings_of(tmp_path, **store)


def test_a_certificate_file_starts_from_the_configurations_folder(tmp_path: Path) -> None:
    found = settings_of(tmp_path, kind="influxdb", ca_file="tls/ca.pem")
    assert isinstance(found, InfluxStoreSettings)
    assert Path(found.ca_file) == tmp_path / "tls/ca.pem"


def test_an_address_that_is_none_is_a_matter_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"store\.url"):
        open_store(settings_of(tmp_path, kind="influxdb", url="sqlite:///a.db"))


WITHOUT_LIBRARY = """
import sys
sys.modules["influxdb_client"] = None
from storage.pattern_aggregate_client import PatternAggregateClient
from storage.errors import SettingsError
try:
    PatternAggregateClient("http://127.0.0.1:1", "token", "home")
except SettingsError as error:
    print(error, error.hint)
"""
LOADED = """
import sys, storage.query, storage.pattern_aggregate_client
print([name for name in ("influxdb_client", "urllib3", "reactivex") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (WITHOUT_LIBRARY, "InfluxDB needs the package influxdb_client, which is not installed Install it with: pip"),
        (LOADED, "[]"),
    ],
    ids=["a library that is missing is named", "the library is loaded where a connection is opened"],
)
def test_importing_the_client_needs_no_library(code: str, printed: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(printed), done.stdout + done.stderr


def test_rollups_lie_in_a_bucket_of_their_own_named_after_that_of_the_days(tmp_path: Path) -> None:
    named = settings_of(tmp_path, kind="influxdb", bucket="flat_daily", rollup_retention_days=400)
    assert isinstance(named, InfluxStoreSettings)
    assert (named.bucket_of_rollups, named.kept_rollup_days) == ("flat_rollups", 399)
    other = settings_of(tmp_path, kind="influxdb", bucket="flat", rollup_bucket="weeks")
    assert isinstance(other, InfluxStoreSettings)
    assert other.bucket_of_rollups == "weeks"


def test_days_and_rollups_in_one_bucket_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot share the bucket 'both'"):
        open_store(settings_of(tmp_path, kind="influxdb", bucket="both", rollup_bucket="both"))
