"""How settings are checked: all problems at once, each with its place in the file, and never with its value.

An unknown key comes with the nearest known one, a key that was renamed with its new name.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from storage.columns import closest
from storage.errors import SettingsError
from storage.settings_file import Document

M = TypeVar("M", bound=BaseModel)
Problem = tuple[str, str]  # a dotted name, and what is wrong with it


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever was written
    if isinstance(value, bool | float):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic reports ValueErrors only
    return value


Whole = Annotated[int, BeforeValidator(_whole)]  # pydantic alone would take true for 1 and 2.0 for 2


class Section(BaseModel):
    """A part of the settings: it cannot be changed, and refuses unknown keys.

    Attributes:
        renamed: The new name of each key that had another one in an earlier version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    renamed: ClassVar[Mapping[str, str]] = {}


def check(model: type[M], document: Document) -> M:
    """Return the settings in their types.

    Raises:
        SettingsError: All problems at once, one a line.
    """
    settings, problems = validate(model, document)
    if settings is None:
        raise problems_error(document, problems)
    return settings


def validate(model: type[M], document: Document) -> tuple[M | None, list[Problem]]:
    """Return the settings in their types, or None and all problems."""
    try:
        return model.model_validate(dict(document.values)), []
    except ValidationError as error:
        return None, [_problem(model, part["loc"], part["type"], part["msg"]) for part in error.errors()]


def problems_error(document: Document, problems: Sequence[Problem]) -> SettingsError:
    """Make one error of all problems."""
    lines = [f"{len(problems)} problem(s) in the settings ({document.origin}):"]
    for name, what in problems:
        origin = document.origin_of(name)
        lines.append(f"  {name}: {what}" + (f" (set by {origin})" if origin else ""))
    return SettingsError("\n".join(lines), hint="config/default.toml shows every setting.")


def unknown_key(key: str, known: Iterable[str], renamed: Mapping[str, str]) -> str:
    """Return a message that a key is not known, with its new name or else the nearest known key.

    >>> unknown_key("longest", ["max_steps"], {"longest": "max_steps"})
    "was renamed; it is now called 'max_steps'"
    """
    if key in renamed:
        return f"was renamed; it is now called {renamed[key]!r}"
    hint = closest(key, known)
    return "unknown key" + (f"; {hint}" if hint else "")


def _problem(model: type[BaseModel], location: tuple[str | int, ...], kind: str, message: str) -> Problem:
    """Return the dotted name of a place that pydantic complains about, and what is wrong there."""
    *parents, last = location
    name, section = _locate(model, location)
    if kind == "extra_forbidden":
        _, section = _locate(model, tuple(parents))
        known = section.model_fields if section is not None else ()
        renamed = section.renamed if section is not None and issubclass(section, Section) else {}
        return name, unknown_key(str(last), known, renamed)
    if kind == "union_tag_not_found":
        return f"{name}.kind", "is missing"
    if kind in ("model_type", "dict_type"):
        return name, "must be a table"
    if kind == "union_tag_invalid":
        return f"{name}.kind", f"not a valid kind; use one of {message.rpartition(': ')[2]}"
    return name, message.removeprefix("Value error, ")


def _locate(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[str, type[BaseModel] | None]:
    """Return the dotted name of a place in the settings file, and the model of that place if it has one.

    pydantic's own location also names the chosen kind of a section, which the file does not.
    """
    names: list[str] = []
    here: Any = model
    for part in location:
        chosen = next((one for one in _kinds(here) if one.model_fields["kind"].default == part), None)
        if chosen is not None:
            here = chosen
        else:
            names.append(str(part))
            here = _inside(here, str(part))
    return ".".join(names), here if _is_model(here) else None


def _kinds(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any type form
    """Yield the models of a section that comes in several kinds."""
    for arm in typing.get_args(annotation):
        bare = typing.get_args(arm)[0] if hasattr(arm, "__metadata__") else arm
        if _is_model(bare) and "kind" in bare.model_fields:
            yield bare


def _inside(annotation: Any, part: str) -> Any:  # noqa: ANN401 - any type form
    """Return the type of a field of a model or of the values of a dict."""
    if _is_model(annotation):
        field = annotation.model_fields.get(part)
        return field.annotation if field is not None else None
    return (typing.get_args(annotation) or (None,))[-1]


def _is_model(annotation: Any) -> typing.TypeGuard[type[BaseModel]]:  # noqa: ANN401 - any type form
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
