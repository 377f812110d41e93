"""One cause is one message, with its hint, whatever else is to be said."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.home import CSV_CONFIG, Home
from tests.support.influxdb import LiveServer


def test_a_bucket_that_does_not_exist_is_one_error_with_its_hint(tmp_path: Path, influxdb: LiveServer) -> None:
    store = {"kind": "influxdb", "url": influxdb.url, "org": influxdb.org, "token": influxdb.token, "bucket": "nowhere"}
    section = "\n".join(f"{key} = {json.dumps(value)}" for key, value in store.items())
    home = Home(tmp_path, CSV_CONFIG.replace('url = "sqlite:///aggregates.db"', section))
    result = home.call("run")
    text = " ".join(result.stderr.split() + result.stdout.split())
    assert result.exit_code == 1
    assert text.count("hint") + text.count("pattern-aggregates init") == 1, text
    assert text.count("nowhere: ") + text.count("not found") <= 4, text  # as logged, and in the report
    assert text.index("pattern-aggregates init") < text.index("stale source")
    assert "2026-03-01 to 2026-03-03 (3 days)" in text
