"""What in a configuration file is a secret, so that nobody else may read the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.settings_file import secrets_in


@pytest.mark.parametrize(
    ("section", "line", "is_secret"),
    [
        ("store", 'token = "x"', True),
        ("mqtt", 'password = "x"', True),
        ("mqtt", 'username = "x"', False),
        ("messages", 'ntfy_token = "x"', True),
        ("messages", 'ntfy_url = "https://ntfy.sh/topic"', True),
        ("messages", 'ntfy_url = ""', False),
        ("messages", 'apprise = ["tgram://token/chat"]', True),
        ("messages", "apprise = []", False),
        ("messages", 'min_severity = "high"', False),
        ("ping", 'url = "https://hc-ping.com/uuid"', True),
        ("ping", 'proxy = "http://proxy"', False),
        ("ping", 'proxy = "http://me:x@proxy"', True),
        ("away", 'calendar = "https://calendar/private/basic.ics"', True),
        ("away", 'events = ["*holiday*"]', False),
        ("store", 'url = "sqlite:///aggregates.db"', False),
        ("store", "url = 5", False),
    ],
)
def test_a_secret_is_named_by_its_place(tmp_path: Path, section: str, line: str, *, is_secret: bool) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[{section}]\n{line}\n", encoding="utf-8")
    assert secrets_in(file) == ([f"{section}.{line.split(maxsplit=1)[0]}"] if is_secret else [])
