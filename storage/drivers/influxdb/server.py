"""Where an InfluxDB is and how to talk to it: address, token, certificates, proxy."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import urllib3
from pydantic import SecretStr
from urllib3 import exceptions as trouble

from storage.errors import SettingsError

POOLED: Final = 16  # connections kept; more threads than this open others for the moment

_NO_ORG = ("", "-")  # "-" is what influxdb-client's users write for 1.x


@dataclass(frozen=True, slots=True)
class Server:
    """Where an InfluxDB is, and how to talk to it.

    Attributes:
        url: ``http://host:8086``; a path before the API's own is kept.
        org: The organisation; empty for 1.x.
        token: A token; for 1.x with authentication ``name:password``.
        timeout_seconds: How long one silence of the server may last.
        ca_file: The certificate authority to trust; None trusts the system's.
        verify: Whether the server's certificate is checked.
        proxy: The address of a proxy; empty for none.
        compress: Whether bodies go gzipped, both ways: worth it where the server is not near.
        setting: Where ``url`` stands in the settings, for messages.
    """

    url: str
    org: str = ""
    token: SecretStr = field(default_factory=lambda: SecretStr(""))
    timeout_seconds: float = 10.0
    ca_file: Path | None = None
    verify: bool = True
    proxy: str = field(default="", repr=False)  # it may hold a password
    compress: bool = False
    setting: str = field(default="store.url", compare=False)

    def __post_init__(self) -> None:
        section = self.setting.rpartition(".")[0]
        try:
            parsed = urllib3.util.parse_url(self.url)
        except trouble.LocationParseError as error:
            raise SettingsError(f"{self.setting}: this is no address", hint="Write http://host:8086") from error
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
            raise SettingsError(f"{self.setting}: this is no address of a server", hint="Write http://host:8086")
        if parsed.auth:
            raise SettingsError(
                f"{self.setting} holds a name or password", hint=f"Write {section}.token = 'name:password' instead."
            )
        if self.proxy:
            self._proxy()
        token = self.token.get_secret_value()
        if not token.isascii() or not (token.isprintable() or not token):
            raise SettingsError(f"{section}.token holds characters that no token has")

    @property
    def is_v2(self) -> bool:
        """Whether it is spoken to as 2.x."""
        return self.org not in _NO_ORG

    def redact(self, text: str) -> str:
        """What a server or somebody between says, without the token it may have repeated."""
        token = self.token.get_secret_value()
        for secret in (token, token.partition(":")[2]):
            if secret:
                text = text.replace(secret, "***")
        return text

    def headers(self) -> dict[str, str]:
        """What proves who is asking."""
        token = self.token.get_secret_value()
        found = {"User-Agent": "pattern-aggregates"}
        if token and not self.is_v2 and ":" in token:
            found |= urllib3.make_headers(basic_auth=token)
        elif token:
            found["Authorization"] = f"Token {token}"
        if self.compress:
            found["Accept-Encoding"] = "gzip"
        return found

    def _proxy(self) -> urllib3.util.Url:
        setting = f"{self.setting.rpartition('.')[0]}.proxy"
        try:
            parsed = urllib3.util.parse_url(self.proxy)
        except trouble.LocationParseError as error:
            raise SettingsError(f"{setting}: this is no address", hint="Write http://host:3128") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise SettingsError(f"{setting}: this is no address of a proxy", hint="Write http://host:3128")
        return parsed

    def pool(self) -> urllib3.PoolManager:
        """Connections to it, kept and shared by threads.

        Raises:
            SettingsError: ``ca_file`` cannot be read.
        """
        context = None
        if self.url.lower().startswith("https:"):
            try:
                context = ssl.create_default_context(cafile=self.ca_file)
            except OSError as error:
                section = self.setting.rpartition(".")[0]
                raise SettingsError(f"{section}.ca_file: {self.ca_file} holds no certificates: {error}") from error
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                urllib3.disable_warnings(trouble.InsecureRequestWarning)  # the settings say so; once was enough
        if self.proxy:
            proxy = self._proxy()
            proven = urllib3.make_headers(proxy_basic_auth=unquote(proxy.auth)) if proxy.auth else None
            return urllib3.ProxyManager(
                proxy._replace(auth=None).url, maxsize=POOLED, ssl_context=context, proxy_headers=proven
            )
        return urllib3.PoolManager(maxsize=POOLED, ssl_context=context)
