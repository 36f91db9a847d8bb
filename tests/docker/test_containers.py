"""The container files say what they should, as compose and hadolint read them; docker/try.sh builds and runs them."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from api.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SERVICES = ("api", "worker", "worker-gpu", "postgres")


def tool(name: str) -> str:
    """A program of the extra `docker`, or one of the machine's own."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name}: the extra `docker` is not installed")
    return found


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    text = run(
        tool("docker-compose"), "--file", "docker/compose.yaml", "--profile", "gpu", "config", "--format", "json"
    )
    return dict(json.loads(text)["services"])


def test_both_compose_files_are_valid() -> None:
    for file in ("compose.yaml", "docker/compose.yaml"):
        run(tool("docker-compose"), "--file", file, "config", "--quiet")


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    assert run(tool("hadolint"), "docker/Dockerfile") == ""


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined_and_says_how_it_is(services: dict[str, dict[str, Any]], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] in {"10001:10001", "postgres"}
    assert service["healthcheck"]["test"]
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert "privileged" not in service


def test_the_compose_file_has_no_other_service(services: dict[str, dict[str, Any]]) -> None:
    assert sorted(services) == sorted(SERVICES)


def test_only_the_api_has_a_network_and_only_on_the_loopback(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if service.get("network_mode") != "none"} == {"api"}
    assert [port["host_ip"] for port in services["api"]["ports"]] == ["127.0.0.1"]


def test_the_signing_key_is_within_reach_of_workers_only(services: dict[str, dict[str, Any]]) -> None:
    holders = {name for name, service in services.items() if "server" in {v["source"] for v in service["volumes"]}}
    assert holders == {"worker", "worker-gpu"}


def test_every_variable_of_a_container_is_a_setting(services: dict[str, dict[str, Any]]) -> None:
    given = {key for service in services.values() for key in service.get("environment", {}) if key.startswith(PREFIX)}
    given |= set(re.findall(rf"\b{PREFIX}[A-Z_]+(?==)", (DOCKER / "Dockerfile").read_text()))
    assert given - {PREFIX + name.upper() for name in Settings.model_fields} == set()


def test_every_variable_that_compose_reads_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "containers.md").read_text()
    read = set(re.findall(rf"\$\{{({PREFIX}[A-Z_]+)", (DOCKER / "compose.yaml").read_text()))
    assert sorted(name for name in read if f"`{name}`" not in page) == []


def test_the_image_gets_what_the_wheel_gets() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert copied == {name.strip("/") for name in wheel["include"] if not name.endswith(".py")}


def test_the_image_has_the_pinned_dependencies_of_the_project() -> None:
    printed = run(sys.executable, "docker/requirements.py", "pyproject.toml", "fast").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert printed == project["dependencies"] + project["optional-dependencies"]["fast"]


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_executable_and_can_be_parsed(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    run(script.read_text().splitlines()[0].split("/")[-1].split()[-1], "-n", str(script))
