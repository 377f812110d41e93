"""The commands that the pages show work when they are pasted: each page's ``sh`` blocks are run from top to bottom.

They run in a copy of the project. Folders that belong to the machine (/etc, /opt, /var/lib ...) are moved into a
temporary one. Programs that no test can have (docker, systemctl) do nothing; ``pip`` installs nothing, as the
environment of the tests is there; ``sudo`` runs the command as this user. Everything else is the real thing.
"""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules
from jobs.sources.simulated_home import SimulatedHome
from tests.support.home import ROOT
from tests.support.recorder import Registered, from_samples, write_registries

pytestmark = pytest.mark.slow

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MOVED = ("/etc/", "/opt/", "/var/lib/", "/usr/local/bin/", "/config/")
NOTHING = "#!/bin/sh\nexit 0\n"
SHIMS = {
    **dict.fromkeys(("docker", "dask", "kubectl", "systemctl", "useradd", "journalctl", "curl", "pip"), NOTHING),
    "sudo": """#!/bin/sh
while :; do case "$1" in --user|-u) shift 2;; --preserve-env=*) shift;; *) break;; esac; done
exec "$@"
""",
    "install": """#!/bin/sh
[ "$3" = -g ] && exec /usr/bin/install "$1" "$2" "$5" "$6"
exec /usr/bin/install "$@"
""",
    "make": """#!/bin/sh
case "$1" in
  demo) exec pattern-aggregates demo --days 30;;
  setup) python3 -m venv .venv; exec .venv/bin/pattern-aggregates setup "${2#ARGS=}";;
esac
""",
    "python3": """#!/bin/sh
if [ "$1 $2" != "-m venv" ]; then exec {python} "$@"; fi
mkdir -p "$3/bin"
ln -sf {shims}/pip "$3/bin/pip"
ln -sf {shims}/python3 "$3/bin/python3"
printf '%s\\n' 'export PATH="{root}/.venv/bin:$PATH"' > "$3/bin/activate"
printf '%s\\n' '#!/bin/sh' 'exec {python} -m jobs "$@"' > "$3/bin/pattern-aggregates"
chmod +x "$3/bin/pattern-aggregates"
""",
}
SETTINGS = """[home]
time_zone = "Europe/Berlin"
[source]
kind = "simulated_home"
events_per_day = 1000
first_day = {first}
[store]
url = "sqlite:////var/lib/pattern-aggregates/aggregates.db"
[ledger]
path = "/var/lib/pattern-aggregates/ledger.db"
"""
ZONE = ZoneInfo("Europe/Berlin")


def blocks(page: Path, language: str) -> str:
    """Return all code of a page in one language, in order."""
    return "\n".join(code for kind, code in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language)


OTHERS = [page for page in PAGES if page.name not in ("README.md", "operations.md") and blocks(page, "sh")]


class Machine:
    """A copy of the project on a machine with folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self._system = folder / "system"
        shims = folder / "shims"
        for made in (shims, *(self._system / moved.strip("/") for moved in MOVED)):
            made.mkdir(parents=True, exist_ok=True)
        (self._system / "etc/systemd/system").mkdir(parents=True)
        (self._system / "var/lib/pattern-aggregates").mkdir()
        self.clone.mkdir()
        for name in ("jobs", "storage", "tests", "docs", "pyproject.toml", "constraints.txt", "README.md"):
            (self.clone / name).symlink_to(ROOT / name)
        for file in (ROOT / "config").rglob("*"):
            if file.is_file():
                copy = self.clone / file.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                if file.suffix == ".png":
                    copy.write_bytes(file.read_bytes())
                else:
                    copy.write_text(self._moved(file.read_text(encoding="utf-8")), encoding="utf-8")
                copy.chmod(file.stat().st_mode)
        for name, text in SHIMS.items():
            filled = text.replace("{python}", sys.executable).replace("{shims}", str(shims))
            (shims / name).write_text(filled.replace("{root}", str(self.clone)), encoding="utf-8")
            (shims / name).chmod(0o755)
        entry = shims / "pattern-aggregates"
        entry.write_text(f'#!/bin/sh\nexec {sys.executable} -m jobs "$@"\n', encoding="utf-8")
        entry.chmod(0o755)
        self._path = f"{self._system}/usr/local/bin:{shims}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        self._entry = entry

    def without_command(self) -> None:
        """Take ``pattern-aggregates`` away: the page itself has to bring it onto the path."""
        self._entry.unlink()

    def write(self, path: str, text: str) -> None:
        """Write a file of the copy."""
        (self.clone / path).write_text(self._moved(text), encoding="utf-8")

    def system(self, path: str) -> Path:
        """Where a path of the machine really lies."""
        return self._system / path.strip("/")

    def paste(self, text: str, timeout_seconds: float = 240, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run shell lines in one shell, stopping at the first that fails; ``answers`` are typed into it."""
        environment = {"PATH": self._path, "HOME": str(self.clone), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        return subprocess.run(
            ["/bin/bash", "-euxo", "pipefail", "-c", self._moved(text)],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.clone,
            env=environment,
            timeout=timeout_seconds,
            input=answers,
        )

    def _moved(self, text: str) -> str:
        pattern = "|".join(map(re.escape, MOVED))
        return re.sub(rf"(?<![\w.])({pattern})", lambda found: f"{self._system}{found[1]}", text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _with_recorder(machine: Machine) -> None:
    """Put a Home Assistant with a few recorded days where config/home-assistant.toml looks for it."""
    yesterday = dt.datetime.now(ZONE).date() - dt.timedelta(days=1)
    home = SimulatedHome(ZONE, EntityRules(), first_day=yesterday - dt.timedelta(days=3), last_day=yesterday)
    folder = machine.system("/config/")
    from_samples(folder / "home-assistant_v2.db", home.samples(yesterday - dt.timedelta(days=2), yesterday))
    write_registries(folder / ".storage", [Registered("light.hallway", area="hallway")])


def _as_daemon(machine: Machine) -> None:
    """Write the settings that an operator of the daemon has, and install what the page installs."""
    first = dt.datetime.now(ZONE).date() - dt.timedelta(days=14)
    machine.write("home.toml", SETTINGS.format(first=first))
    machine.without_command()


def test_readme_leads_from_a_clone_to_the_rows_of_a_real_home(machine: Machine) -> None:
    _with_recorder(machine)
    page = blocks(ROOT / "README.md", "sh").replace("make demo", ":")
    done = machine.paste(page, answers="Europe/Berlin\n90\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "home_assistant_db holds" in done.stdout
    assert list(machine.clone.rglob("aggregates.db"))
    assert (machine.clone / "report.html").is_file()


def test_operations_installs_and_looks_after_one_daemon(machine: Machine) -> None:
    _as_daemon(machine)
    page = blocks(ROOT / "docs/operations.md", "sh")
    install, rest = page[page.index("sudo useradd") :], page[: page.index("sudo useradd")]
    done = machine.paste(f"{install}\npattern-aggregates run\n{rest}")
    assert done.returncode == 0, done.stdout + done.stderr
    files = {file.name for file in machine.system("/var/lib/pattern-aggregates").iterdir()}
    assert {"ledger.db", "ledger.damaged", "ledger.backup", "aggregates.db", "aggregates.backup"} <= files
    assert not list(machine.clone.rglob("*.db")), "a command used another store than the daemon's"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    done = machine.paste("make demo")
    assert done.returncode == 0, done.stdout + done.stderr
    return machine


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_each_other_page_works_beside_the_demo(page: Path, demo: Machine) -> None:
    done = demo.paste(f"export PATTERN_AGGREGATES_CONFIG=demo-home/config.toml\n{blocks(page, 'sh')}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/query.md"], ids=lambda page: page.name)
def test_the_python_of_a_page_reads_the_demo(page: Path, demo: Machine) -> None:
    demo.write("example.py", blocks(page, "python"))
    done = demo.paste("PATTERN_AGGREGATES_CONFIG=demo-home/config.toml python3 example.py")
    assert done.returncode == 0, done.stdout + done.stderr
