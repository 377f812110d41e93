"""The settings of a store: where it is, how long it keeps a day, and which file it is, if it is a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import quote, unquote

from pydantic import BaseModel, Discriminator, Field, SecretStr, Tag

from storage.dates import oldest_kept_day
from storage.periods import DEFAULT_BUCKET, rollup_bucket_of
from storage.settings_check import Section, Whole, check
from storage.settings_file import Document

MAX_RETENTION_DAYS = 36_500
DEFAULT_LEDGER: Final = "data/ledger.db"


class _Kept(Section):
    """How long a store keeps a day.

    Attributes:
        retention_days: What the operator asked for; 0 keeps every day.
        rollup_retention_days: The same for the rows of rollups (weeks and months).
    """

    retention_days: Annotated[Whole, Field(ge=0, le=MAX_RETENTION_DAYS)] = 90
    rollup_retention_days: Annotated[Whole, Field(ge=0, le=MAX_RETENTION_DAYS)] = 1826

    @property
    def kept_days(self) -> int:
        """How many past days the store keeps; 0 for every day."""
        return self.retention_days

    @property
    def kept_rollup_days(self) -> int:
        """How many past days the store keeps the rows of rollups; 0 for ever."""
        return self.rollup_retention_days

    def oldest_kept_day(self, yesterday: dt.date) -> dt.date:
        """Return the oldest day that the store keeps, when ``yesterday`` is the newest past day."""
        return oldest_kept_day(yesterday, self.kept_days)


class SqlStoreSettings(_Kept):
    """``[store]`` of kind sql: any SQLAlchemy URL.

    Attributes:
        timeout_seconds: How long a server may take to answer one statement.
    """

    kind: Literal["sql"] = "sql"
    url: Annotated[str, Field(repr=False)] = "sqlite:///data/aggregates.db"  # it may hold a password
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0

    @property
    def file(self) -> Path | None:
        """The SQLite file that is the store; None where a server is."""
        return sqlite_file(self.url)

    def with_base(self, base: Path) -> Self:
        """Return the settings with a path that starts from a folder made absolute."""
        return self.model_copy(update={"url": absolute_url(base, self.url)})


class ParquetStoreSettings(_Kept):
    """``[store]`` of kind parquet: a folder with exported rows, which can only be read.

    Attributes:
        path: The folder, or a URL that fsspec knows.
    """

    kind: Literal["parquet"] = "parquet"
    path: Annotated[str, Field(min_length=1, repr=False)]  # a URL may hold a password
    retention_days: Annotated[Whole, Field(ge=0, le=MAX_RETENTION_DAYS)] = 0
    rollup_retention_days: Annotated[Whole, Field(ge=0, le=MAX_RETENTION_DAYS)] = 0

    @property
    def file(self) -> None:
        """None: the store is not a single file."""
        return

    def with_base(self, base: Path) -> Self:
        """Return the settings with a path that starts from a folder made absolute."""
        return self if "://" in self.path else self.model_copy(update={"path": str(absolute_path(base, self.path))})


class InfluxServerSettings(Section):
    """Where an InfluxDB is: 2.x with ``org`` and ``token``; 1.x with neither, or with ``name:password`` as the token.

    Attributes:
        timeout_seconds: How long the server may send nothing before a call is given up.
        ca_file: The certificate authority to trust; empty for those of the system.
        compress: Whether requests and answers are compressed with gzip.
    """

    url: str = "http://localhost:8086"
    org: str = ""
    token: SecretStr = SecretStr("")
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    ca_file: str = ""
    verify: bool = True
    proxy: Annotated[str, Field(repr=False)] = ""  # it may hold a password
    compress: bool = False

    def with_base(self, base: Path) -> Self:
        """Return the settings with a path that starts from a folder made absolute."""
        return self.model_copy(update={"ca_file": str(absolute_path(base, self.ca_file)) if self.ca_file else ""})


class InfluxStoreSettings(InfluxServerSettings, _Kept):
    """``[store]`` of kind influxdb. ``init`` gives each bucket its retention.

    Attributes:
        bucket: The bucket of daily rows.
        rollup_bucket: The bucket of rollups; empty for the name of ``bucket`` with ``_rollups`` instead of ``_daily``.
    """

    kind: Literal["influxdb"] = "influxdb"
    bucket: Annotated[str, Field(min_length=1)] = DEFAULT_BUCKET
    rollup_bucket: str = ""

    @property
    def bucket_of_rollups(self) -> str:
        """The name of the bucket of rollups."""
        return self.rollup_bucket or rollup_bucket_of(self.bucket)

    @property
    def kept_days(self) -> int:
        """How many past days the bucket keeps; 0 for every day.

        InfluxDB counts back from now, and a day's points lie at its 00:00 UTC, so the oldest day is already gone.
        """
        return _kept_by_influxdb(self.retention_days)

    @property
    def kept_rollup_days(self) -> int:
        """How many past days the bucket of rollups keeps; as for ``kept_days``."""
        return _kept_by_influxdb(self.rollup_retention_days)

    @property
    def file(self) -> None:
        """None: the store is a server."""
        return


def _kept_by_influxdb(retention_days: int) -> int:
    return retention_days - 1 if retention_days > 1 else retention_days


def _kind(values: Any) -> str:  # noqa: ANN401 - a table of settings, or settings
    return str(values.get("kind", "sql") if isinstance(values, Mapping) else getattr(values, "kind", ""))


StoreSettings = SqlStoreSettings | InfluxStoreSettings | ParquetStoreSettings
AnyStoreSettings = Annotated[
    Annotated[SqlStoreSettings, Tag("sql")]
    | Annotated[InfluxStoreSettings, Tag("influxdb")]
    | Annotated[ParquetStoreSettings, Tag("parquet")],
    Discriminator(_kind),
]


class _StoreOnly(BaseModel):
    """The settings as a reader of aggregates needs them: problems in other sections do not stop it."""

    store: AnyStoreSettings = SqlStoreSettings()


def store_settings(document: Document) -> StoreSettings:
    """Return ``[store]`` alone, with absolute paths.

    Raises:
        SettingsError: That section has problems.
    """
    return check(_StoreOnly, document).store.with_base(document.base)


def ledger_path(document: Document) -> Path | None:
    """Return ``ledger.path``, absolute; the default where that section has problems, which only the job reports.

    Returns:
        None if the ledger is in a database, whose URL is ``ledger_url``.
    """
    section = document.values.get("ledger")
    path = section.get("path") if isinstance(section, Mapping) else None
    if ledger_url(document):
        return None
    return absolute_path(document.base, path if isinstance(path, str) else DEFAULT_LEDGER)


def ledger_url(document: Document) -> str:
    """Return ``ledger.url``; empty where it is not set."""
    section = document.values.get("ledger")
    url = section.get("url") if isinstance(section, Mapping) else None
    return url if isinstance(url, str) else ""


def absolute_path(base: Path, path: str) -> Path:
    """Return a path from the settings; a relative one starts from the configuration file's folder."""
    return base / Path(path).expanduser()


class _SqliteUrl(NamedTuple):
    """An SQLite URL in its parts; ``file`` is still quoted."""

    scheme: str
    file: str
    query: str


def _sqlite_url(url: str) -> _SqliteUrl | None:
    """Return the parts of an SQLite URL that names a file; None for any other URL."""
    scheme, separator, rest = url.partition(":///")
    file, question, query = rest.partition("?")
    if not scheme.startswith("sqlite") or not separator or file in ("", ":memory:"):
        return None
    return _SqliteUrl(scheme, file, question + query)


def sqlite_file(url: str) -> Path | None:
    """Return the file that an SQLite URL names; None for any other URL.

    >>> sqlite_file("sqlite:////home/why%3F/aggregates.db?timeout=5")
    PosixPath('/home/why?/aggregates.db')
    """
    parts = _sqlite_url(url)
    return Path(unquote(parts.file)) if parts is not None else None


def absolute_url(base: Path, url: str) -> str:
    """Return a database URL; an SQLite file's relative path starts from the configuration file's folder.

    >>> absolute_url(Path("/home/why?"), "sqlite:///aggregates.db")
    'sqlite:////home/why%3F/aggregates.db'
    """
    parts = _sqlite_url(url)
    if parts is None:
        return url
    return f"{parts.scheme}:///{absolute_path(Path(quote(str(base))), parts.file)}{parts.query}"
