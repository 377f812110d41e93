"""Where settings come from: a TOML file, environment variables and secret files, the later winning over the earlier.

``PATTERN_AGGREGATES__SECTION__KEY`` sets one key (or, as an inline table, a whole section), and so does a secret file
``/run/secrets/pattern_aggregates__section__key``. Nothing is checked here; ``settings_check`` does that.

pydantic-settings (2.16 was tried) silently ignores a misspelt section in the environment, and stops at the first value
that it cannot parse, so it would lose "did you mean" and "all problems at once".
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from storage.clean_text import remember_secrets
from storage.errors import SettingsError
from storage.regular_file import read_regular_text

CONFIG_VARIABLE: Final = "PATTERN_AGGREGATES_CONFIG"
PREFIX: Final = "PATTERN_AGGREGATES__"
LOCAL_FILE: Final = Path("pattern-aggregates.toml")  # what `setup` writes
DEFAULT_FILE: Final = Path("config/default.toml")
SECRETS: Final = Path("/run/secrets")

_SECRET_KEYS: Final = ("token", "password", "secret")
_SECRET_ADDRESSES: Final = ("ping.url", "messages.ntfy_url", "messages.apprise", "away.calendar")  # known is enough
_URL_WITH_PASSWORD: Final = re.compile(r"[a-z0-9+.-]+://[^/@]*:[^/@]+@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """Settings as they were written, before they are checked.

    Attributes:
        values: Nested tables.
        base: The folder that relative paths start from: the configuration file's, or the working directory.
        origin: The configuration file, for messages.
        overrides: The dotted names that an environment variable or a secret file has set, with the name of that
            variable or file.
    """

    values: Mapping[str, Any] = field(repr=False)  # secrets among them
    base: Path
    origin: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    def origin_of(self, name: str) -> str:
        """Return which variable or secret file has set a dotted name; empty if none has.

        For a table it is the one that has set a key of it.

        >>> Document({}, Path(), "home.toml", {"source": "PATTERN_AGGREGATES__SOURCE"}).origin_of("source.path")
        'PATTERN_AGGREGATES__SOURCE'
        """
        below = [origin for other, origin in self.overrides.items() if other.startswith(f"{name}.")]
        while name not in self.overrides and name:
            name = name.rpartition(".")[0]
        return self.overrides.get(name) or next(iter(below), "")


@contextmanager
def naming_origin(overrides: Mapping[str, str]) -> Iterator[None]:
    """Add to the hint of an error about a setting which environment variable or secret file the value comes from.

    Args:
        overrides: As in ``Document``.

    Raises:
        SettingsError: What the block raises.
    """
    try:
        yield
    except SettingsError as error:
        error.hint = hint_with_origin(error, overrides)
        raise


def hint_with_origin(error: SettingsError, overrides: Mapping[str, str]) -> str:
    """Return the hint of an error with the environment variable or secret file that its setting comes from.

    >>> error = SettingsError("store postgresql://tester@db/x: the server refuses this account", hint="Correct it.")
    >>> hint_with_origin(error, {"store.url": "PATTERN_AGGREGATES__STORE__URL"})
    'Correct it. store is set by PATTERN_AGGREGATES__STORE__URL.'
    """
    first = (str(error).split(":", maxsplit=1)[0].split(maxsplit=1) or [""])[0]  # the setting that the message is about
    first = {"recorder": "source"}.get(first, first)
    origin = Document({}, Path(), "", overrides).origin_of(first) if first else ""
    if not origin or origin in error.hint:
        return error.hint
    return f"{error.hint} {first} is set by {origin}.".strip()


def load_document(
    path: Path | None = None, *, environ: Mapping[str, str] | None = None, secrets: Path = SECRETS
) -> Document:
    """Read the settings from the file, the environment and the secret files.

    Args:
        path: The configuration file; by default the one in ``PATTERN_AGGREGATES_CONFIG``, else
            ``pattern-aggregates.toml``, else ``config/default.toml``, neither of which need exist.
        environ: The environment variables; by default those of this process.
        secrets: The folder of the secret files.

    Raises:
        SettingsError: The named file does not exist, or a file is not valid TOML.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    file = named or (LOCAL_FILE if os.path.lexists(LOCAL_FILE) else DEFAULT_FILE)
    values: dict[str, Any] = {}
    base, origin = Path.cwd(), "the defaults"
    try:
        values = tomllib.loads(read_regular_text(file))
        base, origin = file.resolve().parent, str(file)
    except FileNotFoundError as error:
        if named is not None:
            raise SettingsError(
                f"configuration file {file} does not exist", hint=f"Correct --config or {CONFIG_VARIABLE}."
            ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read as TOML: {error}") from error
    overrides: dict[str, str] = {}
    for name, text in _overrides(environ, secrets):
        keys = name.upper().removeprefix(PREFIX).lower().split("__")
        _set(values, keys, _parse(text))
        overrides[".".join(keys)] = name
    remember_secrets(values)
    return Document(values, base, origin, overrides)


def secrets_in(file: Path) -> list[str]:
    """Return the dotted names of the secrets in a configuration file: tokens, passwords, addresses that are secret.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not valid TOML.
    """
    return list(_secrets(tomllib.loads(read_regular_text(file)), ""))


def _secrets(value: object, name: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, str | list) and value:
        texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        is_secret = name.rpartition(".")[2].endswith(_SECRET_KEYS) or name in _SECRET_ADDRESSES
        if is_secret or any(map(_URL_WITH_PASSWORD.match, texts)):
            yield name


def _overrides(environ: Mapping[str, str], secrets: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each variable, then of each secret file."""
    yield from ((name, text) for name, text in sorted(environ.items()) if name.startswith(PREFIX))
    if not secrets.is_dir():
        return
    for file in sorted(secrets.iterdir()):
        if file.name.upper().startswith(PREFIX) and file.is_file():
            try:
                yield file.name, read_regular_text(file).strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"the secret {file.name} cannot be read as text") from error


def _parse(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Read lists, tables and quoted texts as TOML; leave the rest to pydantic as text."""
    if text[:1] not in ("[", "{", '"', "'"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(values: dict[str, Any], keys: list[str], value: Any) -> None:  # noqa: ANN401 - any TOML value
    """Set a value in nested tables, which are made where they are missing."""
    for key in keys[:-1]:
        inner = values.get(key)
        values[key] = dict(inner) if isinstance(inner, dict) else {}
        values = values[key]
    values[keys[-1]] = value
