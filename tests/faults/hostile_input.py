"""Text from outside that controls a terminal, ends a query or holds a secret; and random input of every kind."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.faults.homes import DAYS, Bench, Result

TEXTS: Final = (
    *(
        "\x1b[2J\x1b[31mred",
        "a'; DROP TABLE entry; --",
        '"quoted"',
        "=1+1",
        "\u202egnp.exe",
        "\x00",
        "\x9b31m",
        "[bold]x",
    ),
    *(
        "x" * 300,
        "%s %n {0}",
        "../../etc/passwd",
        "\r\nSet-Cookie: a=b",
        "<script>alert(1)</script>",
        "\\",
        "\ufeff",
        "\x07",
    ),
)
CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
FUZZ_EXAMPLES: Final = 12


def hostile_input(bench: Bench) -> Iterator[Result]:
    """Yield a line for hostile text, and one for random input."""
    yield _hostile_text(bench)
    yield _random_input(bench)


def _hostile_text(bench: Bench) -> Result:
    """Let entities and states be called by each text; rows of the others must be as without them."""
    result, rng = Result("hostile names and states in a CSV file"), random.Random(f"{bench.seed} text")
    expected = None
    for number, text in enumerate(("", *TEXTS)):
        home = bench.home(source='[source]\nkind = "csv_files"\npath = "events.csv"\n')
        lines = ["time,entity_id,state,area,device_class"]
        for day in list(DAYS)[:3]:
            lines += [f"{day}T{hour:02}:00:00,light.kitchen,{('off', 'on')[hour % 2]},kitchen," for hour in range(24)]
        if text:
            cell = '"' + text.replace('"', '""').replace("\r\n", " ") + '"'
            for _ in range(20):
                moment = f"{DAYS.first}T{rng.randrange(24):02}:{rng.randrange(60):02}:00"
                lines.insert(rng.randrange(1, len(lines)), f"{moment},switch.{number},{cell},{cell},{cell}")
                lines.insert(rng.randrange(1, len(lines)), f"{moment},{cell},on,,")
        (home.folder / "events.csv").write_text("\n".join(lines), encoding="utf-8")
        codes = [home.call("backfill", str(DAYS.first), str(list(DAYS)[1])), home.call("doctor"), home.call("status")]
        kitchen = [row for row in home.rows()["time_based_daily"] if row["entity_id"] == "light.kitchen"]
        expected = kitchen if expected is None else expected
        result.tries += 1
        result.check("" if set(codes) <= {0, 1} else f"exit codes {codes}: {home.log_tail()}", repr(text))
        result.check("" if kitchen == expected else "rows of another entity differ", repr(text))
        output = home.log.read_text(encoding="utf-8", errors="replace")
        result.check("a control character in the output" if CONTROL.search(output) else "", repr(text))
        result.check("a traceback" if "Traceback" in output else "", repr(text))
    result.seen = "other rows as without, no control character in any output"
    return result


def _random_input(bench: Bench) -> Result:
    """Run the properties of ``tests/fuzz`` once with this seed."""
    result = Result("random settings, files, rows, answers and command lines")
    folder = Path(__file__).parents[1] / "fuzz"
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(folder),
        "-v",
        "-p",
        "no:randomly",
        f"--hypothesis-seed={bench.seed}",
    ]
    ended = subprocess.run(
        [*command, "--timeout=900"],
        env={**os.environ, "FUZZ_EXAMPLES": str(FUZZ_EXAMPLES)},
        capture_output=True,
        text=True,
        check=False,
    )
    broken = re.findall(r"FAILED (tests/\S+)", ended.stdout)
    properties = len(set(re.findall(r"(?:PASSED|FAILED) (tests/\S+)", ended.stdout)))
    result.tries = properties * FUZZ_EXAMPLES
    result.wrong += sorted(set(broken))
    result.check("" if ended.returncode in (0, 1) and properties else f"pytest: {ended.stdout[-300:]}")
    result.seen = f"{properties} properties on {FUZZ_EXAMPLES} examples each; no traceback, documented exit codes"
    return result
