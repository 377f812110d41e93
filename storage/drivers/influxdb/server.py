"""Where an InfluxDB is and how to reach it: address, token, certificates, proxy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from storage.errors import SettingsError

_NO_ORG: Final = ("", "-")  # users of influxdb-client write "-" for 1.x


@dataclass(frozen=True, slots=True)
class Server:
    """Where an InfluxDB is, and how to reach it.

    Attributes:
        url: ``http://host:8086``; a path before the API's own is kept.
        org: The organisation; empty for 1.x.
        token: A token; for 1.x with authentication ``name:password``.
        timeout_seconds: How long the server may be silent.
        ca_file: The certificate authority to trust; None trusts the system's.
        verify: Whether the server's certificate is checked.
        proxy: The address of a proxy; empty for none.
        compress: Whether bodies are gzipped, both ways: useful where the server is not near.
        setting: The name of the setting that holds ``url``, for messages.

    Raises:
        SettingsError: ``url`` or ``proxy`` is not a valid URL, or ``token`` not a valid token.
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
        address = _parsed(self.url, self.setting, "http://host:8086")
        if address.query or address.fragment:
            raise SettingsError(f"{self.setting}: not a valid URL of a server", hint="Write http://host:8086")
        if address.username is not None:
            raise SettingsError(
                f"{self.setting} holds a name or password",
                hint=f"Write {self.section}.token = 'name:password' instead.",
            )
        if self.proxy:
            _parsed(self.proxy, f"{self.section}.proxy", "http://host:3128")
        token = self.token.get_secret_value()
        if not token.isascii() or not (token.isprintable() or not token):
            raise SettingsError(f"{self.section}.token contains characters that cannot be part of a token")

    @property
    def section(self) -> str:
        """The section of the settings that describes the server."""
        return self.setting.rpartition(".")[0]

    @property
    def is_v2(self) -> bool:
        """Whether the API of 2.x is used."""
        return self.org not in _NO_ORG

    def redact(self, text: str) -> str:
        """Return a text without the token or password, which a server or proxy may have repeated."""
        token = self.token.get_secret_value()
        for secret in (token, token.partition(":")[2]):
            if secret:
                text = text.replace(secret, "***")
        return text


def _parsed(url: str, setting: str, example: str) -> SplitResult:
    try:
        address = urlsplit(url)
        valid = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise SettingsError(f"{setting}: not a valid URL", hint=f"Write {example}")
    return address
