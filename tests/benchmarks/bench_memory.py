"""How much memory and time a night takes, by entities and events: ``python -m tests.benchmarks.bench_memory``.

Each home is a recorder database of one day in which every entity toggles at random instants, or all together at the
same ones. ``run --day`` works on it in a process of its own, whose peak resident memory (VmHWM) and processor time are
printed, also as ratios of those of the smallest home of the same run. ``--python`` measures another installation of the
job, such as an earlier version.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.window import HOUR, MINUTE, SECOND, midnight
from tests.benchmarks.bench_spine import ZONE
from tests.support.recorder import RecorderDatabase, StateRow

DAY: Final = dt.date(2026, 3, 2)
MAX_MEGABYTES: Final = 512  # what a run may take at most, for any home
_GIVE_UP_MEGABYTES: Final = 8 * 1024
_GIVE_UP_SECONDS: Final = 120.0
_DOMAINS: Final = ("binary_sensor.motion", "light.lamp", "switch.plug", "lock.door")
_STATES: Final = {"lock": ("unlocked", "locked")}


class Size(NamedTuple):
    """A home: how many entities, how many events each of them has, and when they happen."""

    entities: int
    events: int
    shape: str = "random"


SIZES: Final = (
    Size(100, 100),
    Size(600, 100),
    Size(1_250, 200),
    Size(2_500, 200),
    Size(5_000, 200),
    Size(1_000, 2_000),
    Size(100, 20_000),
    Size(5_000, 20, "together"),
    Size(5_000, 200, "together"),
    Size(5_000, 20, "same"),
    Size(5_000, 20, "second"),
    Size(5_000, 1),
    Size(10_000, 20),
    Size(2, 100_000),
    Size(1, 2_000_000),
)


class Taken(NamedTuple):
    """What a run took, None where it was given up, and what it printed."""

    megabytes: float | None
    seconds: float | None
    output: str


def size_of(text: str) -> Size:
    """Return the size in a text such as ``5000x20-together``."""
    amounts, _, shape = text.partition("-")
    entities, events = map(int, amounts.split("x"))
    return Size(entities, events, shape or "random")


def entity_id(number: int) -> str:
    """Return the id of an entity."""
    return f"{_DOMAINS[number % len(_DOMAINS)]}_{number:05}"


def instants(size: Size, number: int, start: int) -> list[int]:
    """Return when an entity changes, by the shape of the home.

    ``random``; ``together`` with all others within seconds, as after starts that nobody noticed; at the ``same``
    instants as all others; or always in one ``second`` of the day.
    """
    if size.shape == "together":
        moments = np.arange(1, size.events + 1) * (24 * HOUR // (size.events + 1))
        jitter = np.random.default_rng(number).integers(0, 15 * SECOND, size.events)
        return sorted((start + moments + jitter).tolist())
    if size.shape == "same":
        return (start + np.arange(1, size.events + 1) * (24 * HOUR // (size.events + 1))).tolist()
    if size.shape == "second":
        return (start + 12 * HOUR + np.arange(size.events) * (SECOND // size.events)).tolist()
    rng = np.random.default_rng(number)
    return sorted((start + rng.integers(MINUTE, 24 * HOUR - MINUTE, size.events)).tolist())


def write_home(path: Path, size: Size, instants_of: Callable[[Size, int, int], list[int]] = instants) -> None:
    """Write a recorder database of one day."""
    start = midnight(DAY, ZONE)
    with RecorderDatabase(path) as recorder:
        recorder.run(start - HOUR, start + 25 * HOUR)

        def rows() -> Iterator[StateRow]:
            for number in range(size.entities):
                name = entity_id(number)
                states = _STATES.get(name.partition(".")[0], ("on", "off"))
                yield StateRow(start - 30 * MINUTE + number, name, states[1])
                for place, at in enumerate(instants_of(size, number, start)):
                    yield StateRow(at, name, states[place % 2])

        recorder.write(rows())
        recorder.connection.execute("ANALYZE")
        recorder.connection.commit()


def config(folder: Path, source: str) -> Path:
    """Write the settings of a home and return the file."""
    folder.mkdir(exist_ok=True)
    file = folder / "config.toml"
    file.write_text(
        f'[home]\ntime_zone = "{ZONE.key}"\n[source]\n{source}\n'
        '[store]\nurl = "sqlite:///aggregates.db"\nretention_days = 0\n[ledger]\npath = "ledger.db"\n',
        encoding="utf-8",
    )
    return file


_RUN: Final = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) << 20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
from jobs.cli import main
try:
    sys.argv[:] = ["pattern-aggregates", *sys.argv[3:]]
    code = main()
except SystemExit as exit:
    code = exit.code
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
usage = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"\\ntaken {int(peak) / 1024} {usage.ru_utime + usage.ru_stime} {code}\\n")
"""


def take(
    *arguments: str,
    python: str = sys.executable,
    megabytes: int = _GIVE_UP_MEGABYTES,
    seconds: float = _GIVE_UP_SECONDS,
) -> Taken:
    """Run a command of the job in a process of its own and return what it took.

    Args:
        arguments: The command.
        python: The Python of the installation.
        megabytes: The address space after which it is given up.
        seconds: The processor time after which it is given up.
    """
    command = [python, "-P", "-c", _RUN, str(megabytes), str(round(seconds)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = done.stderr.rpartition("\ntaken ")[2].split()
    if len(words) != 3:
        return Taken(None, None, done.stderr[-500:])
    return Taken(float(words[0]), float(words[1]), done.stdout if words[2] in {"0", "None"} else done.stderr[-800:])


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the Python of the installation to measure")
    parser.add_argument("--sizes", help="such as 1250x200,5000x20-together; by default all")
    parser.add_argument("--keep", type=Path, help="where to keep the homes")
    options = parser.parse_args()
    sizes = [size_of(text) for text in options.sizes.split(",")] if options.sizes else SIZES
    first: Taken | None = None
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        folder = options.keep or Path(name)
        print(f"{'entities':>9}{'events':>11}  {'shape':<10}{'peak MB':>9}{'processor s':>13}{'memory':>9}{'time':>8}")
        for size in sizes:
            path = folder / f"{size.entities}x{size.events}-{size.shape}.db"
            if not path.exists():
                write_home(path, size)
            with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
                file = config(Path(home), f'kind = "home_assistant_db"\nurl = "sqlite:///{path}"')
                taken = take("--config", str(file), "run", "--day", str(DAY), "--json", python=options.python)
            first = first or taken
            print(_line(size, taken, first), flush=True)
    return 0


def _line(size: Size, taken: Taken, first: Taken) -> str:
    start = f"{size.entities:>9,}{size.entities * size.events:>11,}  {size.shape:<10}"
    if taken.megabytes is None or taken.seconds is None or first.megabytes is None or first.seconds is None:
        return f"{start}{'given up':>22}  {taken.output.strip()[-60:]}"
    ratios = f"{taken.megabytes / first.megabytes:>8.2f}x{taken.seconds / first.seconds:>7.1f}x"
    missed = "  over the limit" if taken.megabytes > MAX_MEGABYTES else ""
    return f"{start}{taken.megabytes:>9.0f}{taken.seconds:>13.1f}{ratios}{missed}"


if __name__ == "__main__":
    sys.exit(main())
