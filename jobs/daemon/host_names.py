"""The names under which the daemon's pages may be requested.

A page of another site cannot read them, unless its own name is made to point to this machine (DNS rebinding): the
browser then takes both for one site. It still sends that name as ``Host``, so requests under a name that anyone could
have registered are refused. Addresses, and names that exist in a local network only, cannot be used for it.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

LOCAL_ENDINGS: Final = (".localhost", ".local", ".home.arpa", ".internal")  # RFC 6761, 6762, 8375; ICANN 2024


def is_own_name(host: str, names: Collection[str]) -> bool:
    """Return whether a request for a host may be answered.

    Args:
        host: The header ``Host``, with or without a port; empty where a client, which is no browser, sends none.
        names: Further names under which the pages may be requested, in lower case.

    >>> is_own_name("localhost:8080", ()), is_own_name("[::1]:8080", ()), is_own_name("daemon:8080", ())
    (True, True, True)
    >>> is_own_name("rebound.example.com", ()), is_own_name("home.example.com:443", ["home.example.com"])
    (False, True)
    """
    if not host:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return bool(name) and ("." not in name or name.endswith(LOCAL_ENDINGS) or name in names or _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
