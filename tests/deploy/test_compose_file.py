"""docker-compose.yml keeps its promises, as far as the file itself shows them; no engine is needed."""

from __future__ import annotations

import copy
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from compose_rules import Compose, networks_of, wrong

from stack.compose.holders import HOLDERS
from stack.images.recipes import BASE, PRODUCT, RECIPES
from stack.keycloak import BUILD_OPTIONS, VERSION

CHECKOUT = Path(__file__).resolve().parents[2]
FILE = CHECKOUT / "docker-compose.yml"


@pytest.fixture(scope="module")
def original() -> Compose:
    parsed: Compose = yaml.safe_load(FILE.read_text())
    return parsed


@pytest.fixture
def compose(original: Compose) -> Compose:
    return copy.deepcopy(original)


def test_every_service_keeps_every_rule(compose: Compose) -> None:
    assert wrong(compose) == []


def _set(service: str, key: str, value: object) -> Callable[[Compose], None]:
    return lambda compose: compose["services"][service].__setitem__(key, value)


def _add(service: str, key: str, value: object) -> Callable[[Compose], None]:
    return lambda compose: compose["services"][service].setdefault(key, []).append(value)


def _env(service: str, name: str, value: str) -> Callable[[Compose], None]:
    return lambda compose: compose["services"][service].setdefault("environment", {}).__setitem__(name, value)


BREACHES: dict[str, tuple[Callable[[Compose], object], str]] = {
    "root": (_set("vault-api", "user", "0:0"), "vault-api: does not name an account"),
    "a name for root": (_set("vault-api", "user", "root"), "vault-api: does not name an account"),
    "privileged": (_set("proxy", "privileged", True), "proxy: has privileged"),
    "a capability": (_set("proxy", "cap_add", ["NET_ADMIN"]), "proxy: keeps capabilities"),
    "capabilities": (_set("proxy", "cap_drop", ["NET_RAW"]), "proxy: keeps capabilities"),
    "no confinement": (_set("opa", "security_opt", ["seccomp=unconfined"]), "opa: may gain privileges"),
    "a writable image": (_set("opa", "read_only", False), "opa: can write its own image"),
    "no memory limit": (_set("postgres", "mem_limit", None), "postgres: has no mem_limit"),
    "a tmpfs without an end": (_set("proxy", "tmpfs", ["/run/proxy"]), "proxy: /run/proxy can grow"),
    "a log without an end": (_set("proxy", "logging", {}), "proxy: logs without end"),
    "no health": (_set("keycloak", "healthcheck", {}), "keycloak: nobody can tell"),
    "the host's network": (_set("opa", "network_mode", "host"), "opa: uses a network of somebody else"),
    "the proxy at the data": (_set("proxy", "networks", ["outside", "data"]), "postgres: the proxy can reach it"),
    "the proxy inside": (_set("proxy", "networks", ["outside", "dmz", "inside"]), "opa: the proxy can reach it"),
    "data in the DMZ": (_set("postgres", "networks", ["data", "dmz"]), "postgres: the proxy can reach it"),
    "a port of the database": (_set("postgres", "ports", ["5432:5432"]), "postgres: has a port outside"),
    "practice for everybody": (_set("neighbours", "profiles", []), "neighbours: is for development"),
    "practice on all addresses": (_set("neighbours", "ports", ["8090:8090"]), "neighbours: is for development"),
    "a network that leads outside": (
        lambda compose: compose["networks"]["data"].pop("internal"), "network data: leads outside",
    ),
    "a secret as a value": (_env("opa", "A_PASSWORD", "hunter2"), "opa: A_PASSWORD is not"),
    "a password in an address": (_env("opa", "A_URL", "postgresql://a:b@c/d"), "opa: A_URL holds a secret"),
    "a secret in the arguments": (_add("opa", "command", "--token=x"), "opa: its command line has"),
    "the engine's socket": (_add("opa", "volumes", "/var/run/docker.sock:/s:ro"), "opa: mounts /var/run/docker.sock"),
    "all secrets": (_add("opa", "volumes", "keys:/k:ro"), "opa: has all secrets"),
    "writable secrets": (_add("opa", "volumes", "secrets-opa:/run/tradepulse"), "opa: mounts secrets-opa"),
    "a writable checkout": (_add("opa", "volumes", "./configs:/etc/tradepulse/configs"), "opa: can write ./configs"),
    "an unknown image": (_set("opa", "image", "opa:1"), "opa: no recipe builds"),
    "an image without a version": (_set("opa", "image", "openpolicyagent/opa"), "opa: 'openpolicyagent/opa' names no"),
    "a volume that nobody makes": (lambda compose: compose["volumes"].__setitem__("more", {}), "volumes: ['more']"),
}  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found(breach: str, compose: Compose) -> None:
    commit, complaint = BREACHES[breach]
    commit(compose)
    assert any(line.startswith(complaint) for line in wrong(compose)), wrong(compose)


def test_every_holder_mounts_its_own_secrets_and_no_others(compose: Compose) -> None:
    held = {}
    for name, service in compose["services"].items():
        for mount in service.get("volumes", ()):
            source, target, *_ = str(mount).split(":")
            if target == "/run/tradepulse":
                held[name] = source.removeprefix("secrets-")
    # Jobs and programs of one account share their secrets; a second node has those of the first.
    shared = {"vault-api": "vault", "apply": "admin-sync"}
    for name, holder in held.items():
        assert holder == shared.get(name, name.removesuffix("-2")) or holder == shared.get(name.removesuffix("-2"))
    assert set(held.values()) == set(HOLDERS)


def test_every_file_that_a_service_is_told_of_is_one_that_it_holds(compose: Compose) -> None:
    for name, service in compose["services"].items():
        mounted = [str(mount) for mount in service.get("volumes", ()) if ":/run/tradepulse" in str(mount)]
        if not mounted or name == "keys":
            continue
        holder = mounted[0].split(":")[0].removeprefix("secrets-")
        words = [str(value) for value in (service.get("environment") or {}).values()]
        words += [str(word) for key in ("command", "entrypoint") for word in service.get(key, ())]
        told = {file for word in words for file in re.findall(r"/run/tradepulse/([A-Za-z0-9._-]+)", word)}
        assert told - {"ca.pem"} <= set(HOLDERS[holder]), name


def test_the_services_know_the_clients_of_the_configuration(compose: Compose) -> None:
    declared = yaml.safe_load((CHECKOUT / "configs" / "iam" / "roles.yaml").read_text())["clients"]
    told = compose["services"]["vault-api"]["environment"]["TRADEPULSE_CLIENTS"].split(",")
    assert sorted(told) == sorted(declared), "put the new client into TRADEPULSE_CLIENTS of docker-compose.yml"


def test_the_proxy_shares_one_network_with_the_services_and_it_leads_nowhere(compose: Compose) -> None:
    networks = networks_of(compose["services"]["proxy"])
    assert networks == {"outside", "dmz"}
    assert [name for name, each in compose["services"].items() if "outside" in networks_of(each)] == ["proxy"]


@pytest.mark.parametrize("dockerfile", sorted({recipe.dockerfile for recipe in RECIPES.values()}))
def test_no_image_runs_as_root_or_begins_with_anything_but_debian(dockerfile: str) -> None:
    lines = (CHECKOUT / dockerfile).read_text().splitlines()
    stages: dict[str, list[str]] = {}
    for line in lines:
        if found := re.match(r"FROM (\S+)(?: AS (\S+))?", line):
            assert found[1] == BASE or found[1] in stages, line
            current = stages.setdefault(found[2] or "last", [])
        elif line and not line.startswith("#"):
            current.append(line)
    wanted = {recipe.stage or list(stages)[-1] for recipe in RECIPES.values() if recipe.dockerfile == dockerfile}
    for stage in wanted:
        accounts = [line.split()[1] for line in stages[stage] if line.startswith("USER ")]
        assert accounts[-1] == "10001:10001", f"{dockerfile}: {stage}"
    text = "\n".join(lines)
    assert "curl http" not in text
    assert "ADD " not in text


def test_the_images_bear_the_versions_of_what_is_in_them() -> None:
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    assert version == PRODUCT
    assert f"tradepulse/keycloak:{VERSION}-{version}" in RECIPES
    assert BUILD_OPTIONS
    assert f"tradepulse_iam-{PRODUCT}.dist-info" in (CHECKOUT / "deploy/images/services.Dockerfile").read_text()


@pytest.mark.parametrize("script", ["realm/start.sh", "deploy/compose/postgres.sh"])
def test_every_script_can_be_read_by_the_shell(script: str) -> None:
    done = subprocess.run(["sh", "-n", CHECKOUT / script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _client() -> list[str] | None:
    """`docker compose`, where there is one; COMPOSE names it otherwise."""
    docker = shutil.which("docker")
    if docker is None:
        return None
    words = shlex.split(f"{docker} compose")
    told = subprocess.run([*words, "version"], capture_output=True, check=False)
    return words if told.returncode == 0 else None


def test_compose_itself_can_read_the_file() -> None:
    # Without the plugin the rules above have read the same YAML; there is nothing that only it could say.
    words = _client()
    if words is not None:
        profiles = ["--profile", "*"]
        done = subprocess.run(
            [*words, "--file", FILE, *profiles, "config", "--quiet"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
