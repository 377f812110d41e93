"""Every exception class of influxdb-client and urllib3 comes out of a connection as one of ours."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import influxdb_client
import pytest
import urllib3
from influxdb_client.client.flux_csv_parser import FluxQueryException
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError, SSLError

from storage.backends.influxdb.store import ERRORS
from storage.drivers.influxdb.client import sorted_errors
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query
from storage.drivers.influxdb.response import Response
from storage.drivers.influxdb.server import Server
from storage.errors import PatternAggregatesError, StoreError, StoreUnavailable


def modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            with warnings.catch_warnings(action="ignore"):
                module = importlib.import_module(found.name)
        except ImportError:  # parts of the libraries for packages that are not installed, such as aiohttp
            continue
        yield module


def exception_classes() -> list[type[BaseException]]:
    found = {
        value
        for package in (influxdb_client, urllib3)
        for module in modules(package)
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__module__.partition(".")[0] in ("influxdb_client", "urllib3")
    }
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def instance(kind: type[BaseException]) -> BaseException:
    """An exception of a class, made without its constructor, which may want a response or a pool."""
    made = kind.__new__(kind, "no luck")
    texts = dict.fromkeys(("reason", "message", "length"), "no luck")
    numbers = {"status": 400, "partial": 1, "expected": 2}
    attributes = {**texts, **numbers, "headers": {}, "body": b"", "original_error": OSError("no luck")}
    for name, value in attributes.items():
        if not hasattr(made, name):
            setattr(made, name, value)
    return made


class Failing:
    """Stands in for the client of a connection: every call fails with the same exception of the libraries."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def _fail(self, *_arguments: object) -> Any:
        with sorted_errors():
            raise self._error

    write = stream = get = call = _fail


CALLS: dict[str, Callable[[Connection], object]] = {
    "write": lambda connection: connection.write("b", "m f=1i 0"),
    "execute": lambda connection: connection.execute(Query("b", "SELECT"), list),
    "call": lambda connection: connection.call(lambda client: client.buckets_api()),
    "get": lambda connection: connection.get("/ping"),
}


def test_the_libraries_have_exceptions_to_try() -> None:
    names = {kind.__name__ for kind in exception_classes()}
    assert {"ApiException", "InfluxDBError", "FluxQueryException", "ReadTimeoutError", "ProxyError"} <= names
    assert len(names) > 30


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", exception_classes(), ids=lambda kind: kind.__name__)
def test_no_exception_of_the_libraries_leaves_a_connection(kind: type[BaseException], call: str) -> None:
    error = instance(kind)
    opened = Connection(
        Server("http://127.0.0.1:1", "home"),
        ERRORS,
        "store",
        sleep=lambda _seconds: None,
        open_client=lambda _server: Failing(error),  # type: ignore[arg-type,return-value] # it has the methods that are called
    )
    if call == "get" and kind in (ApiException, FluxQueryException):
        assert isinstance(opened.get("/ping"), Response), "a refusal is a response, which the caller judges"
        return
    with pytest.raises(PatternAggregatesError) as caught:
        CALLS[call](opened)
    assert isinstance(caught.value, StoreError)
    causes = []
    cause: BaseException | None = caught.value
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    assert error in causes, "the exception of the library stays reachable"
    may_pass = issubclass(kind, HTTPError | OSError) and not issubclass(kind, SSLError)
    assert isinstance(caught.value, StoreUnavailable) == may_pass


@pytest.mark.parametrize("kind", [OSError, ConnectionResetError, TimeoutError])
def test_errors_of_the_network_are_transient(kind: type[OSError]) -> None:
    opened = Connection(
        Server("http://127.0.0.1:1", "home"),
        ERRORS,
        "store",
        sleep=lambda _seconds: None,
        open_client=lambda _server: Failing(kind("reset")),  # type: ignore[arg-type,return-value] # likewise
    )
    with pytest.raises(StoreUnavailable, match="reset"):
        opened.get("/ping")
