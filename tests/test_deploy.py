"""The files of deploy/ mean what they say: options and variables are there, and nobody kills before we are done."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from portway.cli import options
from portway.cli.root import root
from portway.config import Settings, catalogue, load

HOME = Path(__file__).parent.parent
DEPLOY = HOME / "deploy"

DOCKER_KILLS = 10  # seconds after the signal
SPARE = 10.0  # what a worker has beyond its grace, for requests that are told and cancelled
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0}

VARIABLES = {name for setting in catalogue().values() for name in setting.variables}


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(\w*)", text).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


def settings_of(environ: dict[str, str], folder: Path) -> Settings:
    """With these variables; each must be one that is read."""
    assert set(environ) <= VARIABLES
    loaded = load({}, environ=environ, folder=folder)
    assert loaded.warnings == ()
    return loaded.settings


def patience(settings: Settings) -> float:
    """How long a server with workers may take to end."""
    return settings.drain_delay + settings.timeout_graceful_shutdown + settings.timeout_shutdown + SPARE


# --- the image ---


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def image_environ() -> dict[str, str]:
    pairs = [pair for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest)]
    return {name: text for name, _, text in (pair.partition("=") for pair in pairs) if name.startswith("PORTWAY_")}


def test_the_image_is_built_of_what_is_here() -> None:
    sources = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    assert sources
    assert [name for names in sources for name in names if not (HOME / name).exists()] == []


def test_what_is_copied_is_let_into_the_build() -> None:
    allowed = re.findall(r"^!(\S+)", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    assert {name.split("/")[0] for names in copied for name in names} == set(allowed)


def test_the_image_serves_as_process_1_and_as_nobody_of_importance(tmp_path: Path) -> None:
    last = dict(instructions())
    words = json.loads(last["CMD"])  # a list; a text would be a shell's
    assert words[:2] == ["portway", "serve"]
    assert last["USER"] not in ("", "root", "0")
    with root.commands["serve"].make_context("portway serve", words[2:], **root.context_settings) as context:
        assert options.loaded(context).settings.target == "main:app"


def test_docker_does_not_kill_too_early(tmp_path: Path) -> None:
    settings = settings_of(image_environ(), tmp_path)
    assert settings.host == "0.0.0.0"
    assert settings.timeout_graceful_shutdown + settings.timeout_shutdown < DOCKER_KILLS


def test_the_health_of_the_image_is_asked_for_where_it_is_told(tmp_path: Path) -> None:
    settings = settings_of(image_environ(), tmp_path)
    health = dict(instructions())["HEALTHCHECK"]
    command = json.loads(health.partition("CMD ")[2])
    compile(command[-1], "HEALTHCHECK", "exec")
    assert f"http://127.0.0.1:{settings.port}{settings.health_path}" in command[-1]
    start = re.search(r"--start-period=(\w+)", health)
    assert start is not None
    assert seconds(start[1]) >= settings.timeout_startup


# --- compose ---


def test_compose_waits_until_we_are_done(tmp_path: Path) -> None:
    app = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["app"]
    settings = settings_of(image_environ() | app["environment"], tmp_path)
    assert seconds(app["stop_grace_period"]) > patience(settings)
    assert app["ports"] == [f"{settings.port}:{settings.port}"]
    assert (DEPLOY / app["build"]["context"] / app["build"]["dockerfile"]).is_file()


# --- Kubernetes ---


def documents() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def container() -> dict[str, Any]:
    (found,) = documents()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def pod_settings(folder: Path) -> Settings:
    return settings_of(image_environ() | {each["name"]: each["value"] for each in container()["env"]}, folder)


def test_kubernetes_waits_until_we_are_done(tmp_path: Path) -> None:
    pod = documents()["Deployment"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > patience(pod_settings(tmp_path))


def test_probes_ask_where_health_is_told(tmp_path: Path) -> None:
    settings = pod_settings(tmp_path)
    (port,) = container()["ports"]
    assert port["containerPort"] == settings.port
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container()[name]["httpGet"] == {"path": settings.health_path, "port": port["name"]}


def test_who_starts_slowly_tells_why_before_it_is_killed(tmp_path: Path) -> None:
    probe = container()["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > pod_settings(tmp_path).timeout_startup + 1


def test_the_cluster_notices_within_the_drain_delay(tmp_path: Path) -> None:
    probe = container()["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] <= pod_settings(tmp_path).drain_delay


def test_services_find_the_pods() -> None:
    found = documents()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == container()["ports"][0]["name"]


# --- systemd ---


def directives() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "portway.service").read_text(), re.MULTILINE))


def unit_settings() -> Settings:
    path, *words = shlex.split(directives()["ExecStart"])
    assert path.endswith("/portway")
    assert words[0] == "serve"
    with root.commands["serve"].make_context("portway serve", words[1:], **root.context_settings) as context:
        return options.loaded(context).settings


def test_systemd_waits_until_we_are_up_and_until_we_are_done() -> None:
    settings = unit_settings()
    assert seconds(directives()["TimeoutStartSec"]) > settings.timeout_startup + 1
    assert seconds(directives()["TimeoutStopSec"]) > patience(settings)


def test_the_unit_leaves_it_to_the_socket_where_to_listen() -> None:
    settings, usual = unit_settings(), Settings()
    assert [
        name for name in ("bind", "host", "port", "uds", "fd") if getattr(settings, name) != getattr(usual, name)
    ] == []


def test_the_pid_file_lies_in_a_folder_that_the_unit_has() -> None:
    assert str(unit_settings().pid).startswith(f"/run/{directives()['RuntimeDirectory']}/")


def test_an_upgrade_may_speak_for_the_unit() -> None:
    assert (directives()["Type"], directives()["NotifyAccess"]) == ("notify", "all")


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    for name in ("portway.service", "portway.socket"):
        # What is to be executed must be there.
        text = (DEPLOY / name).read_text().replace("/srv/app/.venv/bin/portway", sys.executable)
        (tmp_path / name).write_text(text)
    names = [str(tmp_path / name) for name in ("portway.service", "portway.socket")]
    said = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
