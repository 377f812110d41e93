"""The image and the compose file keep their promises, and agree with each other, the settings and the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import storage.settings
from jobs.registry import load
from jobs.settings import HomeAssistantDatabaseSettings, Settings, SimulatedHomeSettings
from storage.settings import SqlStoreSettings
from storage.settings_check import check
from storage.settings_file import CONFIG_VARIABLE, PREFIX, SECRETS, load_document
from tests.support.compose import CONFIG, Service, mounts, read_compose, settings_of
from tests.support.home import ROOT

IMAGE_VARIABLE = "PATTERN_AGGREGATES_IMAGE"
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|(?<!_)KEY", re.IGNORECASE)
JOBS = ("init", "daemon")


def dockerfile() -> list[tuple[str, str]]:
    """The instructions with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, its FROM first."""
    found: list[list[tuple[str, str]]] = []
    for instruction in dockerfile():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def final(word: str) -> list[str]:
    """The arguments of one kind of instruction in the last stage."""
    return [rest for name, rest in stages()[-1] if name == word]


def environment_of_image() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in final("ENV") for pair in line.split())


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def extras_of_image() -> set[str]:
    (extras,) = (rest for name, rest in dockerfile() if name == "ARG" and rest.startswith("EXTRAS="))
    return set(extras.partition("=")[2].split(","))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose()


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = compose["services"]
    return found


def example() -> dict[str, str]:
    """The lines of config/example.env that are in force, unquoted as compose does."""
    lines = (ROOT / "config" / "example.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value.strip("'") for name, value in pairs}


# The image


def test_every_base_is_pinned_and_all_stages_have_the_same() -> None:
    bases = {stage[0][1].split()[0] for stage in stages()}
    assert len(bases) == 1, "a virtual environment works only beside the interpreter it was made with"
    name, _, tag = bases.pop().partition(":")
    assert name == "python"
    assert re.fullmatch(r"3\.\d+(\.\d+)?-slim-[a-z]+", tag)
    assert (
        f"Programming Language :: Python :: {'.'.join(tag.split('-')[0].split('.')[:2])}"
        in project()["project"]["classifiers"]
    )


def test_it_runs_as_a_numbered_user_who_owns_nothing_but_the_data() -> None:
    (user,) = final("USER")
    uid, gid = re.fullmatch(r"(\d+):(\d+)", user).groups()  # type: ignore[union-attr]
    assert int(uid) > 0
    assert int(gid) > 0
    after = [name for name, _ in stages()[-1]]
    assert "RUN" not in after[after.index("USER") :]
    assert "COPY" not in after[after.index("USER") :]
    (made,) = final("RUN")
    assert f"--uid {uid} --gid {gid}" in made
    assert f"install --directory --owner {uid} --group {gid} --mode 0700 {final('VOLUME')[0]}" in made
    assert not any("--chown" in rest for rest in final("COPY"))


def test_the_last_stage_takes_the_built_environment_and_its_settings_and_nothing_else() -> None:
    assert final("COPY") == [
        "--from=builder /opt/pattern-aggregates /opt/pattern-aggregates",
        f"config/container.toml {environment_of_image()[CONFIG_VARIABLE]}",
    ]
    assert not final("ADD")
    assert not any(re.search(r"\bpip\b|apt|curl|wget", rest) for rest in final("RUN"))


def test_everything_is_installed_as_pinned() -> None:
    installs = [part for _, rest in stages()[0] for part in rest.split("&&") if re.search(r"\binstall\b", part)]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in part for part in installs)


def test_command_health_check_and_stop_signal_are_those_of_the_daemon() -> None:
    (script,) = project()["project"]["scripts"]
    assert json.loads(final("ENTRYPOINT")[0]) == [script]
    assert json.loads(final("CMD")[0]) == ["serve"]
    assert json.loads(final("HEALTHCHECK")[0].partition("CMD ")[2]) == [script, "health"]
    assert final("STOPSIGNAL") == ["SIGTERM"]
    assert environment_of_image()["PATH"].startswith("/opt/pattern-aggregates/bin:")


def test_the_version_stands_in_one_place(services: dict[str, Service]) -> None:
    version = project()["project"]["version"]
    assert {service["image"] for service in services.values() if "build" in service} == {
        "pattern-aggregates",
        "pattern-aggregates-fleet",
    }
    others = ("Dockerfile", "Makefile", "docker-compose.yml", "README.md", "docs/container.md")
    assert [name for name in others if version in (ROOT / name).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("extra", sorted(extras_of_image()))
def test_its_extras_are_the_packages(extra: str) -> None:
    if extra == "influxdb" and not hasattr(storage.settings, "InfluxStoreSettings"):
        pytest.skip("not here: the InfluxDB store")
    assert extra in project()["project"]["optional-dependencies"]


def test_only_what_the_image_is_made_from_is_sent_to_the_builder() -> None:
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    assert first == "*"
    sent = {line[1:] for line in rest if line.startswith("!")} - {"config"}
    copied = {
        source
        for name, arguments in dockerfile()
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    }
    assert sent == copied
    assert all((ROOT / source).exists() for source in copied)


# Its settings


def test_its_settings_are_known_and_it_starts_with_a_simulated_home() -> None:
    document = load_document(CONFIG, environ={}, secrets=Path("/nowhere"))
    settings = check(Settings, document)
    assert load(document.values.get("detectors", {}))
    assert isinstance(settings.source, SimulatedHomeSettings)


def test_all_it_writes_lies_in_the_volume() -> None:
    settings = settings_of({})
    (volume,) = final("VOLUME")
    assert isinstance(settings.store, SqlStoreSettings)
    assert Path(settings.ledger.path).parent == Path(volume)
    assert Path(settings.store.url.removeprefix("sqlite:///")).parent == Path(volume)
    assert final("WORKDIR") == [volume]


def test_the_example_makes_it_a_real_home_by_three_lines(compose: dict[str, Any]) -> None:
    lines = example()
    assert len(lines) == 3
    settings = settings_of({name: value for name, value in lines.items() if name.startswith(PREFIX)})
    assert settings.home.time_zone != "UTC"
    assert isinstance(settings.source, HomeAssistantDatabaseSettings)
    (folder,) = (name for name in lines if not name.startswith(PREFIX))
    for name in JOBS:
        (target,) = (
            target for target, (source, _) in mounts(compose["services"][name]).items() if source.startswith("${")
        )
        source, writable = mounts(compose["services"][name])[target]
        assert source.startswith(f"${{{folder}:-"), "without it, an existing folder is mounted"
        assert (ROOT / source.partition(":-")[2].rstrip("}")).is_dir()
        assert not writable
        assert settings.source.url.startswith(f"sqlite:///{target}/")
        assert (settings.source.registry_dir or "").startswith(f"{target}/")
        assert compose["services"][name]["env_file"] == [{"path": ".env", "required": False}]


def test_the_page_shows_the_three_lines_as_they_are() -> None:
    page = (ROOT / "docs/container.md").read_text(encoding="utf-8")
    lines = (ROOT / "config" / "example.env").read_text(encoding="utf-8").splitlines()
    assert "\n".join(line for line in lines if line and line[0] != "#") in page


def test_the_commented_lines_of_the_example_work_too() -> None:
    text = (ROOT / "config" / "example.env").read_text(encoding="utf-8")
    lines = dict(re.findall(rf"^# ({PREFIX}\w+)=(.*)$", text, flags=re.MULTILINE))
    assert lines
    settings_of({name: value.strip("'") for name, value in lines.items()})


# The compose file


def test_every_image_is_pinned_and_named_without_a_registry(services: dict[str, Service]) -> None:
    for service in services.values():
        if "build" in service:
            continue
        assert re.fullmatch(r"([a-z-]+/)?[a-z-]+:v?\d+\.\d+(\.\d+)?", service["image"])


def test_every_service_has_few_rights_and_bounded_needs(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "pids_limit"} <= set(service), name
        assert service["logging"]["options"]["max-file"], name
        assert "privileged" not in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_root_is_only_who_makes_the_secrets_and_has_no_network(services: dict[str, Service]) -> None:
    for name, service in services.items():
        user = service.get("user", final("USER")[0])
        if name == "secrets":
            assert service["network_mode"] == "none"
            assert service["restart"] == "no"
        else:
            assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), name
            assert "cap_add" not in service, name


def test_the_start_is_ordered_by_health(services: dict[str, Service]) -> None:
    order = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert order == {
        "secrets": {},
        "influxdb": {"secrets": "service_completed_successfully"},
        "init": {"influxdb": "service_healthy"},
        "daemon": {"influxdb": "service_healthy", "init": "service_completed_successfully"},
        "postgresql": {"secrets": "service_completed_successfully"},
        "fleet-scheduler": {},
        "fleet-worker": {"secrets": "service_completed_successfully", "fleet-scheduler": "service_started"},
        "fleet": {"postgresql": "service_healthy", "fleet-worker": "service_started"},
        "prometheus": {},
        "grafana-token": {"init": "service_completed_successfully"},
        "grafana": {"grafana-token": "service_completed_successfully", "prometheus": "service_healthy"},
    }
    for name in ("influxdb", "postgresql", "prometheus", "grafana"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"
        assert services[name]["restart"] == "unless-stopped"
    assert services["init"]["command"] == ["init"]
    assert services["init"]["restart"] == "no"
    assert services["daemon"]["command"] == json.loads(final("CMD")[0])
    assert "healthcheck" not in services["daemon"], "the image's own is right"


def test_secrets_are_files_and_stand_in_no_variable(services: dict[str, Service], tmp_path: Path) -> None:
    made = run_secrets(services["secrets"], tmp_path)
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if not SECRET_NAME.search(variable):
                continue
            assert variable.endswith("_FILE"), (name, variable)
            source, writable = mounts(service)[str(Path(value).parent)]
            assert not writable
            assert made[source][Path(value).name]
    for name in JOBS:
        source, writable = mounts(services[name])[str(SECRETS)]
        assert not writable
        assert list(made[source]) == [f"{PREFIX}STORE__TOKEN".lower()], "the password is none of its business"
    assert not any("secret" in name.lower() for name in tracked() if name != "docker-compose.yml")
    assert ".env" not in tracked()


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        pytest.skip("not here: a git repository")
    return done.stdout.split()


def run_secrets(service: Service, folder: Path) -> dict[str, dict[str, str]]:
    """The files that the service makes, by volume; here without giving them away."""
    script = service["command"][0].replace("$$", "$")
    folders = {}
    for target, (source, writable) in mounts(service).items():
        assert writable
        folders[source] = folder / source
        folders[source].mkdir(exist_ok=True)
        script = re.sub(rf"(?<=[\s]){re.escape(target)}(?=[/\s])", str(folders[source]), script)
    subprocess.run([*service["entrypoint"], f"chown() {{ test -s $2; }}\n{script}"], check=True, timeout=30)
    return {
        source: {file.name: file.read_text(encoding="utf-8") for file in sorted(made.iterdir())}
        for source, made in folders.items()
    }


def test_the_secrets_are_made_once_are_long_and_only_their_readers(
    services: dict[str, Service], tmp_path: Path
) -> None:
    made = run_secrets(services["secrets"], tmp_path)
    assert run_secrets(services["secrets"], tmp_path) == made
    values = [value.rpartition(":")[2] for files in made.values() for value in files.values()]
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in values)
    assert len(set(values)) == 4, "three passwords and a token; two of them have two readers"
    assert {file.stat().st_mode & 0o777 for file in tmp_path.rglob("*") if file.is_file()} == {0o600}


def test_an_unfinished_secret_is_made_again(services: dict[str, Service], tmp_path: Path) -> None:
    made = run_secrets(services["secrets"], tmp_path)
    for source, files in made.items():
        for name in files:
            (tmp_path / source / name).write_text("", encoding="utf-8")
        (tmp_path / source / ".new").write_text("ab", encoding="utf-8")
    again = run_secrets(services["secrets"], tmp_path)
    assert again.keys() == made.keys()
    assert all(value for files in again.values() for value in files.values())


def test_job_and_server_agree(services: dict[str, Service]) -> None:
    server, job = services["influxdb"]["environment"], services["daemon"]["environment"]
    assert job == services["init"]["environment"]
    assert job[f"{PREFIX}STORE__ORG"] == server["DOCKER_INFLUXDB_INIT_ORG"]
    assert job[f"{PREFIX}STORE__URL"] == "http://influxdb:8086"
    assert job[f"{PREFIX}STORE__BUCKET"] != server["DOCKER_INFLUXDB_INIT_BUCKET"], "init makes it, with its retention"
    assert final("VOLUME")[0] in mounts(services["daemon"])
    assert mounts(services["daemon"]) == mounts(services["init"])


def test_the_jobs_settings_are_accepted(services: dict[str, Service], tmp_path: Path) -> None:
    if not hasattr(storage.settings, "InfluxStoreSettings"):
        pytest.skip("not here: the InfluxDB store")
    run_secrets(services["secrets"], tmp_path)
    source, _ = mounts(services["daemon"])[str(SECRETS)]
    settings = settings_of(services["daemon"]["environment"], tmp_path / source)
    assert settings.store.kind == "influxdb"  # type: ignore[comparison-overlap,unused-ignore]


def test_every_volume_is_declared_and_used(compose: dict[str, Any], services: dict[str, Service]) -> None:
    used = {source for service in services.values() for source, _ in mounts(service).values()}
    assert {source for source in used if source[0] not in "$./"} == set(compose["volumes"])


def test_the_fleet_is_left_out_unless_its_profile_is_named(services: dict[str, Service]) -> None:
    names = {name for name, service in services.items() if service.get("profiles") == ["fleet"]}
    assert names == {"postgresql", "fleet-scheduler", "fleet-worker", "fleet"}
    assert services["fleet-worker"]["scale"] == 2
    assert not [
        name for name, service in services.items() if name not in names and names & set(service.get("depends_on", {}))
    ]


def test_the_fleet_knows_its_database_by_one_line_that_is_made_with_its_password(
    services: dict[str, Service], tmp_path: Path
) -> None:
    made = run_secrets(services["secrets"], tmp_path)
    server = services["postgresql"]["environment"]
    line = made["fleet-job-secrets"]["pgpass"].split(":")
    assert line == ["postgresql", "5432", server["POSTGRES_DB"], server["POSTGRES_USER"], line[4]]
    assert made["fleet-secrets"]["password"] == line[4]
    settings = tomllib.loads((ROOT / "config/fleet/fleet.toml").read_text(encoding="utf-8"))
    assert settings["store"]["url"] == settings["ledger"]["url"] == "postgresql+psycopg://fleet@postgresql/fleet"


# The image as it was built: name one in PATTERN_AGGREGATES_IMAGE, as `make image` does


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def engine() -> str:
    found = next((one for one in ("docker", "podman") if shutil.which(one)), None)
    if found is None or not os.environ.get(IMAGE_VARIABLE):
        pytest.skip(f"not here: a container engine and a built image, named in {IMAGE_VARIABLE}")
    return os.environ.get("ENGINE", found)


@pytest.fixture
def run(engine: str) -> Iterator[Run]:
    """Run something in a container as restrained as the compose file's, with a volume for its data."""
    done = subprocess.run([engine, "volume", "create"], capture_output=True, text=True, check=True)
    volume = done.stdout.strip()
    restrained = ["--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]

    def start(*arguments: str, entrypoint: str | None = None) -> subprocess.CompletedProcess[str]:
        other = ["--entrypoint", entrypoint] if entrypoint else []
        command = [engine, "run", *restrained, f"--volume={volume}:/data", *other, os.environ[IMAGE_VARIABLE]]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=200)

    yield start
    subprocess.run([engine, "volume", "rm", volume], capture_output=True, check=True)


def test_a_second_run_has_nothing_to_do_and_all_files_are_private(run: Run) -> None:
    first = run("run", "--json")
    assert first.returncode == 0, first.stderr
    assert {day["status"] for day in json.loads(first.stdout)["days"]} == {"written"}
    second = run("run", "--json")
    assert second.returncode == 0, second.stderr
    assert {day["status"] for day in json.loads(second.stdout)["days"]} <= {"skipped"}
    listed = run("-c", "cd /data && stat -c '%u:%g %a %F' . *", entrypoint="sh").stdout
    user = final("USER")[0]
    assert set(listed.replace("empty ", "").splitlines()) == {f"{user} 700 directory", f"{user} 600 regular file"}


def test_the_root_cannot_be_written_to_and_no_tools_are_there(run: Run) -> None:
    tools = "cc gcc g++ clang make ld as git pip-cache"
    script = f"id -u; touch /opt/pattern-aggregates/x 2>&1 || echo refused; command -v {tools}; ls -A /source /tools"
    said = run("-c", script, entrypoint="sh").stdout.splitlines()
    assert said[0] == final("USER")[0].partition(":")[0]
    assert said[-1] == "refused"


def test_what_is_installed_is_what_is_pinned(run: Run) -> None:
    code = "import importlib.metadata as m; [print(d.metadata['Name'] + '==' + d.version) for d in m.distributions()]"
    lines = run("-I", "-c", code, entrypoint="/opt/pattern-aggregates/bin/python").stdout.split()
    installed = {line.lower().replace("_", "-") for line in lines} - {
        f"pattern-aggregates=={project()['project']['version']}"
    }
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-").split()
    assert installed - set(pinned) == set()


def test_the_engine_knows_the_health_check(engine: str) -> None:
    command = [engine, "image", "inspect", os.environ[IMAGE_VARIABLE]]
    (image,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    check_of = image.get("Healthcheck") or image["Config"].get("Healthcheck")
    assert check_of["Test"] == ["CMD", "pattern-aggregates", "health"]
