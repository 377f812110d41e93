"""Write the settings file, and become the daemon: the app's image runs ``python -m jobs.home_assistant_app``."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import tomli_w

from jobs import cli
from jobs.exit_codes import EXIT_CODES
from jobs.home_assistant_app.options import Options, read_options
from jobs.home_assistant_app.recorder import find_recorder
from jobs.home_assistant_app.settings import settings_of
from jobs.home_assistant_app.supervisor import ADDRESS, Service, SupervisorUnavailable, read_service
from jobs.outcome import Outcome
from storage.clean_text import clean_lines
from storage.errors import PatternAggregatesError, SettingsError
from storage.regular_file import replace_file

TOKEN_VARIABLE = "SUPERVISOR_TOKEN"  # noqa: S105 - the name of the variable
ZONE_VARIABLE = "TZ"


class Places(NamedTuple):
    """Where things are in the app's container.

    Attributes:
        data: The app's own folder, with its options; it is kept and backed up.
        home_assistant: Home Assistant's configuration, which cannot be written to.
        settings: The settings file that is made at each start; its folder is not backed up.
        supervisor: The Supervisor's address.
    """

    data: Path = Path("/data")
    home_assistant: Path = Path("/homeassistant")
    settings: Path = Path("/run/pattern-aggregates/settings.toml")
    supervisor: str = ADDRESS


def write_settings(places: Places, *, token: str, time_zone: str, now: dt.datetime) -> tuple[Options, list[str]]:
    """Write the settings file.

    Args:
        places: Where things are.
        token: The app's token for the Supervisor.
        time_zone: The time zone of the machine, for a Home Assistant that does not say which one it has.
        now: The present instant.

    Returns:
        The options, and what was found, in sentences without secrets.

    Raises:
        SettingsError: The options are not valid, or there is no recorder database.
        SupervisorUnavailable: The recorder may be in a MariaDB, and the Supervisor cannot be asked for it.
    """
    options, found = read_options(places.data / "options.json"), []
    url = options.database_url
    if not url:
        recorder = find_recorder(places.home_assistant, lambda: read_service("mysql", token, places.supervisor), now)
        url, time_zone = recorder.url, recorder.time_zone or time_zone
        found.append(f"the recorder database: {recorder.origin}")
    if not time_zone:
        raise SettingsError(
            "the time zone of the home is not known", hint="Set it in Home Assistant: Settings, General."
        )
    mqtt: Service | None = None
    if options.mqtt:
        try:
            mqtt = read_service("mqtt", token, places.supervisor)
        except SupervisorUnavailable as error:
            found.append(f"{error}; nothing is published until the next start")
        else:
            where = "no app provides MQTT: nothing is published"
            found.append(where if mqtt is None else f"the MQTT broker is {mqtt.host}, port {mqtt.port}")
    settings = settings_of(
        options,
        time_zone=time_zone,
        recorder_url=url,
        home_assistant=places.home_assistant,
        data=places.data,
        mqtt=mqtt,
    )
    places.settings.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(places.settings, tomli_w.dumps(settings))
    return options, found


def main(places: Places, environ: MutableMapping[str, str]) -> None:
    """Write the settings file and run the daemon; it ends with SystemExit and the exit code of the commands."""
    token = environ.pop(TOKEN_VARIABLE, "")  # nothing that runs later needs it
    try:
        time_zone = environ.get(ZONE_VARIABLE, "")
        options, found = write_settings(places, token=token, time_zone=time_zone, now=dt.datetime.now(dt.UTC))
    except PatternAggregatesError as error:
        print(clean_lines(f"{error}\n{error.hint}".strip()), file=sys.stderr)  # noqa: T201 - the app's log
        sys.exit(EXIT_CODES[Outcome.of_error(error)])
    for sentence in found:
        print(clean_lines(sentence), file=sys.stderr)  # noqa: T201 - the app's log
    if options.adopt:
        adopted = [word for part in options.adopt for word in ("--adopt", part)]
        with _continuing_after_success():
            cli.main(["--config", str(places.settings), "init", *adopted])
    cli.main(["--config", str(places.settings), "serve"])


@contextmanager
def _continuing_after_success() -> Iterator[None]:
    """Let a command that succeeds not end the program."""
    try:
        yield
    except SystemExit as ended:
        if ended.code:
            raise


if __name__ == "__main__":
    main(Places(), os.environ)
