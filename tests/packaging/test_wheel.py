"""The wheel holds two packages and nothing else, and the query module works where only the wheel is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_top_level_is_exactly_jobs_and_storage(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"jobs", "storage"}
    assert {"jobs/py.typed", "storage/py.typed"} <= set(names)


def test_the_command_and_its_detectors_are_declared(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (declared,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "pattern-aggregates = jobs.cli:main" in archive.read(declared).decode()


def test_installed_elsewhere_the_query_module_loads_no_driver(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import sys, storage.query as query\n"
        "assert query.__file__.startswith(sys.argv[1]), query.__file__\n"
        "loaded = [m for m in ('sqlalchemy', 'influxdb_client', 'apscheduler', 'numpy', 'jobs') if m in sys.modules]\n"
        "print(loaded)"
    )
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
