"""From settings to an open store. The only module that knows every backend; each is loaded when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from storage.settings import StoreSettings
from storage.store import AggregateStore

_BACKENDS: Final = {"sql": "storage.backends.sql:SqlStore"}


def open_store(settings: StoreSettings, *, read_only: bool = False) -> AggregateStore:
    """The store that the settings name.

    Args:
        settings: With paths made absolute.
        read_only: For readers: a store that is not there is an error, never an empty one.

    Raises:
        SettingsError: The settings cannot work.
        StoreMissing: ``read_only``, and there is no such store.
        StoreUnavailable: It cannot be reached now.
    """
    module, _, name = _BACKENDS[settings.kind].partition(":")
    backend: Callable[..., AggregateStore] = getattr(import_module(module), name)
    return backend(settings.url, read_only=read_only)
