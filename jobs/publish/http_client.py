"""One request to a service on the web: bounded in time and size, and without its address in any message.

Redirects are not followed: they could carry a secret to another server. A proxy is taken from the settings, else from
the environment (``HTTPS_PROXY``, ``NO_PROXY``), as other programs do.
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from email.message import Message
from typing import IO, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from jobs.publish.publisher import PublishError

MAX_ANSWER_BYTES: Final = 65_536
USER_AGENT: Final = "pattern-aggregates"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect; the answer is then an error with its status."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Return nothing: there is no further request."""


def post(
    url: str, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float, proxy: str = "", what: str
) -> None:
    """Send something to a service; see ``get``.

    Args:
        body: What to send.
        url: See ``get``; likewise the others.
        headers: Likewise.
        timeout_seconds: Likewise.
        proxy: Likewise.
        what: Likewise.

    Raises:
        PublishError: The service cannot be reached, or does not accept it.
    """
    _request("POST", url, body, headers, timeout_seconds, proxy, what)


def get(url: str, *, headers: Mapping[str, str], timeout_seconds: float, proxy: str = "", what: str) -> None:
    """Request something from a service, which has to answer that it is there.

    Args:
        url: The address.
        headers: Further headers.
        timeout_seconds: How long the service may send nothing.
        proxy: The URL of an HTTP proxy; empty for that of the environment.
        what: What to call the service in messages.

    Raises:
        PublishError: The service cannot be reached, or refuses it.
    """
    _request("GET", url, None, headers, timeout_seconds, proxy, what)


def connect(url: str, *, timeout_seconds: float, proxy: str = "", what: str) -> None:
    """Open a connection to a service, with TLS where its address has it, and close it without any request.

    Args:
        url: The address.
        timeout_seconds: How long that may take.
        proxy: As for ``get``; it is what is connected to.
        what: What to call the service in messages.

    Raises:
        PublishError: The service, or the proxy on the way, cannot be reached.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    between = proxy or ("" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(parts.scheme, ""))
    name = f"the proxy of {what} ({_host(between)})" if between else f"{what} ({host})"
    reached = urlsplit(between) if between else parts
    kind = http.client.HTTPSConnection if reached.scheme == "https" else http.client.HTTPConnection
    try:
        with closing(kind(reached.hostname or "", reached.port, timeout=timeout_seconds)) as connection:
            connection.connect()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise PublishError(f"{name} cannot be reached: {str(error) or type(error).__name__}") from None


def _request(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout_seconds: float,
    proxy: str,
    what: str,
) -> None:
    name = f"{what} ({_host(url)})"
    url, login = _without_login(url)
    proxies = {"http": proxy, "https": proxy} if proxy else None
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler(proxies))
    try:
        request = urllib.request.Request(url, body, {"User-Agent": USER_AGENT, **login, **headers}, method=method)  # noqa: S310 - the settings allow http and https only
        with opener.open(request, timeout=timeout_seconds) as answer:
            answer.read(MAX_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            raise PublishError(f"{name} answers {error.code} {error.reason}", hint=_hint(url, error)) from None
    except urllib.error.URLError as error:
        raise PublishError(f"{name} cannot be reached: {error.reason}") from None
    except (ValueError, http.client.InvalidURL):  # its text repeats a part of the address, or a token
        raise PublishError(f"{name}: not a valid address, or not a valid token", hint="Correct the settings.") from None
    except (OSError, http.client.HTTPException) as error:
        raise PublishError(f"{name} cannot be reached: {str(error) or type(error).__name__}") from None


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """Return an address without user and password, and the header that says them instead."""
    parts = urlsplit(url)
    login, separator, place = parts.netloc.rpartition("@")
    if not separator:
        return url, {}
    encoded = base64.b64encode(unquote(login).encode()).decode()
    return urlunsplit(parts._replace(netloc=place)), {"Authorization": f"Basic {encoded}"}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _hint(url: str, error: urllib.error.HTTPError) -> str:
    location = error.headers.get("Location") if error.headers else None
    if location and 300 <= error.code < 400:  # noqa: PLR2004 - the range of redirects
        target = urlsplit(urljoin(url, location))
        return f"It redirects to {target.scheme}://{target.hostname}: give that address in the settings."
    return ""
