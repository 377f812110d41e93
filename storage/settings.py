"""Where settings come from, how they are checked, and what a store needs of them.

Three places, the later winning: one TOML file, environment variables ``PATTERN_AGGREGATES__SECTION__KEY``, and secret
files ``/run/secrets/pattern_aggregates__section__key``. Every problem is reported at once, with the nearest known name;
values never appear in an error.
"""

from __future__ import annotations

import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
)

from storage.columns import closest
from storage.errors import SettingsError

CONFIG_VARIABLE: Final = "PATTERN_AGGREGATES_CONFIG"
PREFIX: Final = "PATTERN_AGGREGATES__"
DEFAULT_FILE: Final = Path("config/default.toml")
SECRETS: Final = Path("/run/secrets")

M = TypeVar("M", bound=BaseModel)


def _no_flag(value: Any) -> Any:  # noqa: ANN401 - whatever was written
    if isinstance(value, bool | float):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic tells of ValueErrors
    return value


Whole = Annotated[int, BeforeValidator(_no_flag)]


class Section(BaseModel):
    """A part of the settings: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SqlStoreSettings(Section):
    """``[store]`` of kind sql: any SQLAlchemy URL; ``retention_days`` 0 keeps everything."""

    kind: Literal["sql"] = "sql"
    url: Annotated[str, Field(repr=False)] = "sqlite:///data/aggregates.db"  # it may hold a password
    retention_days: Annotated[Whole, Field(ge=0, le=36500)] = 90


class InfluxServerSettings(Section):
    """Where an InfluxDB is: 2.x with ``org`` and ``token``; 1.x with neither, or ``name:password`` as token.

    ``timeout_seconds`` is how long one silence of the server may last, ``ca_file`` the authority behind its
    certificate, ``compress`` whether bodies go gzipped.
    """

    url: str = "http://localhost:8086"
    org: str = ""
    token: SecretStr = SecretStr("")
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    ca_file: str = ""
    verify: bool = True
    proxy: Annotated[str, Field(repr=False)] = ""  # it may hold a password
    compress: bool = False


class InfluxStoreSettings(InfluxServerSettings):
    """``[store]`` of kind influxdb. ``retention_days`` is what ``init`` gives the bucket."""

    kind: Literal["influxdb"] = "influxdb"
    bucket: Annotated[str, Field(min_length=1)] = "pattern_aggregates_daily"
    retention_days: Annotated[Whole, Field(ge=0, le=36500)] = 90


def _kind(values: Any) -> str:  # noqa: ANN401 - a table of settings, or settings
    return str(values.get("kind", "sql") if isinstance(values, Mapping) else getattr(values, "kind", ""))


StoreSettings = SqlStoreSettings | InfluxStoreSettings
AnyStoreSettings = Annotated[
    Annotated[SqlStoreSettings, Tag("sql")] | Annotated[InfluxStoreSettings, Tag("influxdb")], Discriminator(_kind)
]


@dataclass(frozen=True, slots=True)
class Document:
    """Settings as written, before they are checked.

    Attributes:
        values: Nested tables.
        base: The folder that relative paths start from: the configuration file's, or else the present one.
        origin: Where the values come from, for messages.
    """

    values: Mapping[str, Any] = field(repr=False)  # secrets among them
    base: Path
    origin: str


def load_document(
    path: Path | None = None, *, environ: Mapping[str, str] | None = None, secrets: Path = SECRETS
) -> Document:
    """Gather settings from the file (named here, in ``PATTERN_AGGREGATES_CONFIG``, or the default one) and beyond.

    Raises:
        SettingsError: A file that was named is not there, or a file is no TOML.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    file = named or DEFAULT_FILE
    values: dict[str, Any] = {}
    base, origin = Path.cwd(), "the defaults"
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        base, origin = file.resolve().parent, str(file)
    except FileNotFoundError as error:
        if named is not None:
            raise SettingsError(
                f"there is no configuration file {file}", hint=f"Correct --config or {CONFIG_VARIABLE}."
            ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read as TOML: {error}") from error
    for name, text in _overrides(environ, secrets):
        _enter(values, name.removeprefix(PREFIX).lower().split("__"), _value(text))
    return Document(values, base, origin)


def _overrides(environ: Mapping[str, str], secrets: Path) -> Iterator[tuple[str, str]]:
    yield from ((name, text) for name, text in sorted(environ.items()) if name.startswith(PREFIX))
    if secrets.is_dir():
        for file in sorted(secrets.iterdir()):
            if file.name.upper().startswith(PREFIX) and file.is_file():
                try:
                    yield file.name.upper(), file.read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    raise SettingsError(f"the secret {file.name} cannot be read as text") from error


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Lists, tables and quoted texts as TOML; anything else stays text, which pydantic reads as the type it wants."""
    if text[:1] not in ("[", "{", '"', "'"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _enter(values: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401 - any TOML value
    for part in path[:-1]:
        inner = values.get(part)
        values[part] = dict(inner) if isinstance(inner, dict) else {}
        values = values[part]
    values[path[-1]] = value


def check(model: type[M], document: Document) -> M:
    """Settings in their types.

    Raises:
        SettingsError: All problems at once, one a line.
    """
    try:
        return model.model_validate(dict(document.values))
    except ValidationError as error:
        problems = [_problem(model, part["loc"], part["type"], part["msg"]) for part in error.errors()]
    raise SettingsError(settings_message(document.origin, problems))


def settings_message(origin: str, problems: list[str]) -> str:
    """All problems with the settings as one message."""
    return f"{len(problems)} problem(s) in the settings ({origin}):\n" + "\n".join(
        f"  {problem}" for problem in problems
    )


def _problem(model: type[BaseModel], location: tuple[str | int, ...], kind: str, message: str) -> str:
    path, known = _walk(model, location)
    if kind == "extra_forbidden":
        near = closest(str(location[-1]), known)
        return f"{path}: unknown key" + (f"; {near}" if near else "")
    if kind == "union_tag_not_found":
        return f"{path}.kind: is missing"
    if kind in ("model_type", "dict_type"):
        return f"{path}: must be a table"
    if kind == "union_tag_invalid":
        return f"{path}.kind: there is no such kind; there are {message.rpartition(': ')[2]}"
    return f"{path}: {message.removeprefix('Value error, ')}"


def _walk(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[str, list[str]]:
    """The dotted name of a place in the settings, without the union arms pydantic adds, and the keys known there."""
    shown: list[str] = []
    current: Any = model
    for part in location:
        bare = [typing.get_args(arm)[0] if hasattr(arm, "__metadata__") else arm for arm in typing.get_args(current)]
        arms = [arm for arm in bare if isinstance(arm, type) and issubclass(arm, BaseModel)]
        chosen = [arm for arm in arms if "kind" in arm.model_fields and arm.model_fields["kind"].default == part]
        if chosen:
            current = chosen[0]
            continue
        shown.append(str(part))
        fields = current.model_fields if isinstance(current, type) and issubclass(current, BaseModel) else {}
        if part in fields:
            current = fields[str(part)].annotation
        elif part != location[-1]:
            current = (typing.get_args(current) or (None,))[-1]
    known = list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
    return ".".join(shown), known


def based(base: Path, path: str) -> Path:
    """A path from the settings; a relative one starts from the configuration file's folder."""
    return base / Path(path).expanduser()


def based_url(base: Path, url: str) -> str:
    """A database URL from the settings; an SQLite file's relative path starts from the configuration file's folder.

    >>> based_url(Path("/home/why?"), "sqlite:///aggregates.db")
    'sqlite:////home/why%3F/aggregates.db'
    """
    scheme, separator, rest = url.partition(":///")
    file, question, query = rest.partition("?")
    if not scheme.startswith("sqlite") or not separator or not file or file == ":memory:":
        return url
    return f"{scheme}:///{based(Path(quote(str(base))), file)}{question}{query}"


class _StoreOnly(BaseModel):
    """The settings as a reader of aggregates sees them: other sections are not its business."""

    store: AnyStoreSettings = SqlStoreSettings()


def store_settings(document: Document) -> StoreSettings:
    """Only ``[store]``, with paths made absolute.

    Raises:
        SettingsError: That section has problems.
    """
    return based_store(document.base, check(_StoreOnly, document).store)


def based_store(base: Path, store: StoreSettings) -> StoreSettings:
    """``[store]`` with paths made absolute."""
    if isinstance(store, SqlStoreSettings):
        return store.model_copy(update={"url": based_url(base, store.url)})
    return store.model_copy(update={"ca_file": str(based(base, store.ca_file)) if store.ca_file else ""})
