"""Questions to the file systems that fsspec knows, none of whose errors is taken for an empty folder.

Many methods of fsspec (``exists``, ``isdir``, ``find``, ``glob``) take a server that refuses for a file that is not
there, and leave folders out that cannot be listed. Rows of a day would be missing then, and nobody would notice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from fsspec import AbstractFileSystem

_ACCOUNT: Final = re.compile(r"(?<=://)[^/\s'\"]*@")
_QUERY: Final = re.compile(r"(://[^\s?'\"]*)\?[^\s'\"]*")
_WALKERS: Final = ("fsspec.spec", "fsspec.asyn")  # whose `find` leaves out what cannot be listed


def info_of(system: Any, path: str) -> dict[str, Any] | None:  # noqa: ANN401 - fsspec has no types
    """Return what a file system knows of a file or folder; None if there is none."""
    try:
        found: dict[str, Any] = system.info(path)
    except FileNotFoundError:
        return None
    return found


def is_folder(system: Any, path: str) -> bool:  # noqa: ANN401 - fsspec has no types
    """Return whether there is a folder of this path."""
    found = info_of(system, path)
    return found is not None and found["type"] == "directory"


def find_files(system: Any, folder: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - fsspec has no types
    """Return all files below a folder, by path, as they are now; none if there is no such folder."""
    finder = getattr(type(system), "_find", type(system).find)  # asynchronous ones make `find` of `_find`
    lists_at_once = finder.__module__ not in _WALKERS
    return _listed(system, lambda strict: (system if lists_at_once else strict).find(folder, detail=True))


def find_matching(system: Any, pattern: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - fsspec has no types
    """Return the files and folders that match a glob, by path, as they are now."""
    return _listed(system, lambda strict: strict.glob(pattern, detail=True))


def _listed(system: Any, ask: Callable[[Any], dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    system.invalidate_cache()  # those of object storage keep what they once listed
    try:
        return ask(_Strict(system))
    except FileNotFoundError:
        return {}
    except _RefusedError as error:
        raise error.reason from error


class _RefusedError(Exception):
    """A folder cannot be listed. No ``OSError``: these are swallowed by ``find`` and ``glob``."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Strict(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Lists folders of another file system; one that cannot be listed ends ``find`` and ``glob``."""

    cachable = False

    def __init__(self, system: Any) -> None:  # noqa: ANN401 - as above
        super().__init__()
        self._system = system

    def ls(self, path: str, detail: bool = True, **settings: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return self._system.ls(path, detail=detail, **settings)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _RefusedError(error) from error

    def info(self, path: str, **settings: Any) -> Any:  # noqa: ANN401 - as above
        return self._system.info(path, **settings)


def shown_path(system: Any, path: str) -> str:  # noqa: ANN401 - fsspec has no types
    """Return the path of a file on a file system; where that is not local, as a URL without secrets."""
    protocols = [system.protocol] if isinstance(system.protocol, str) else system.protocol
    return path if {"file", "local"} & {*protocols} else without_secrets(str(system.unstrip_protocol(path)))


def without_secrets(text: str) -> str:
    """Return a text without the accounts, passwords and queries of the URLs in it: the query may be a signature.

    >>> without_secrets("https://me:secret@host/events?signature=abc cannot be read")
    'https://host/events cannot be read'
    """
    return _QUERY.sub(r"\1", _ACCOUNT.sub("", text))
