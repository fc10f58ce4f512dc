"""What must hold of every service of docker-compose.yml, as functions from the parsed file to what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stack.compose.holders import HOLDERS, STATE
from stack.images.recipes import RECIPES

Compose = dict[str, Any]

PUBLISHED = {"proxy", "neighbours", "paper-broker"}
"""Services with a port outside; the last two are of the profile dev and on loopback."""

PROXY_REACHES = {"keycloak", "session-broker", "vault-api", "access"}
"""Whom the proxy shares a network with: those that it forwards to."""

_PLACEHOLDER = re.compile(r"\$\{[A-Z_]+(?::-([^}]*))?\}")
_SECRET_WORDS = {"SECRET", "PASSWORD", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE"}
_OLD = re.compile(r":(?:latest|edge|main)?$")


def wrong(compose: Compose) -> list[str]:
    """Everything that is wrong, one line each."""
    services: dict[str, Any] = compose["services"]
    found = []
    for name, service in services.items():
        found += [f"{name}: {problem}" for rule in RULES for problem in rule(name, service)]
    return [*found, *_boundary(services), *_networks(compose), *_volumes(compose)]


def networks_of(service: dict[str, Any]) -> set[str]:
    return set(service.get("networks") or ())


def _image(_: str, service: dict[str, Any]) -> Iterator[str]:
    image = service.get("image", "")
    if image not in RECIPES:
        yield f"no recipe builds {image!r}"
    if "build" in service:
        yield "is built when it is started, not by `make images`"
    if _OLD.search(image) or ":" not in image:
        yield f"{image!r} names no version"


def _account(_: str, service: dict[str, Any]) -> Iterator[str]:
    uid = str(service.get("user", "")).partition(":")[0]
    if not uid.isdigit() or int(uid) == 0:
        yield "does not name an account other than root by number"
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
        yield "keeps capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"]:
        yield "may gain privileges, or loosens a confinement"
    if service.get("read_only") is not True:
        yield "can write its own image"
    for key in ("privileged", "devices", "pid", "ipc", "userns_mode", "cgroup_parent", "volumes_from", "group_add"):
        if service.get(key):
            yield f"has {key}"
    if service.get("network_mode") not in (None, "none"):
        yield "uses a network of somebody else"


def _limits(_: str, service: dict[str, Any]) -> Iterator[str]:
    for key in ("mem_limit", "pids_limit", "cpus"):
        if not service.get(key):
            yield f"has no {key}"
    for mount in service.get("tmpfs", ()):
        if not {"noexec", "nosuid", "nodev"} <= set(mount.partition(":")[2].split(",")) or "size=" not in mount:
            yield f"{mount} can grow, or run what is in it"
    if (service.get("logging") or {}).get("options", {}).get("max-size") is None:
        yield "logs without end"


def _health(_: str, service: dict[str, Any]) -> Iterator[str]:
    if service.get("restart") == "no":
        return
    if not service.get("healthcheck", {}).get("test"):
        yield "nobody can tell whether it is well"


def _environment(_: str, service: dict[str, Any]) -> Iterator[str]:
    for name, value in (service.get("environment") or {}).items():
        text = _PLACEHOLDER.sub(lambda match: match[1] or "", str(value))
        if _SECRET_WORDS & set(name.split("_")) and not (
            name.endswith(("_FILE", "_DIR")) and text.startswith("/run/tradepulse/")
        ):
            yield f"{name} is not the path of a secret's file"
        if "BEGIN " in text or re.search(r"://[^/@:]+:[^/@]+@", text):
            yield f"{name} holds a secret"
    for word in (*service.get("command", ()), *service.get("entrypoint", ())):
        if re.search(r"(?i)(?:password|secret|token)=", str(word)):
            yield f"its command line has {str(word).partition('=')[0]}"


def _mounts(name: str, service: dict[str, Any]) -> Iterator[str]:
    for mount in service.get("volumes", ()):
        source, target, *mode = str(mount).split(":")
        if "docker.sock" in source or source.startswith(("/", "~", "..")):
            yield f"mounts {source} of the host"
        if source.startswith("./") and mode != ["ro"]:
            yield f"can write {source}"
        if name == "keys":
            continue
        if source == "keys":
            yield "has all secrets"
        if target == "/run/tradepulse" and (mode != ["ro"] or not source.startswith("secrets-")):
            yield f"mounts {source} as its secrets, or can write them"


def _boundary(services: dict[str, Any]) -> Iterator[str]:
    proxy = networks_of(services["proxy"])
    for name, service in services.items():
        if name != "proxy" and networks_of(service) & proxy and name not in PROXY_REACHES:
            yield f"{name}: the proxy can reach it"
        if service.get("ports") and name not in PUBLISHED:
            yield f"{name}: has a port outside"
        if name in PUBLISHED - {"proxy"} and (
            service.get("profiles") != ["dev"]
            or not all(str(port).startswith("127.0.0.1:") for port in service["ports"])
        ):
            yield f"{name}: is for development on this host alone"
    if networks_of(services["postgres"]) != {"data"}:
        yield "postgres: is in a network that is not its own"


def _networks(compose: Compose) -> Iterator[str]:
    for name in ("dmz", "inside", "data"):
        if compose["networks"][name].get("internal") is not True:
            yield f"network {name}: leads outside"


def _volumes(compose: Compose) -> Iterator[str]:
    wanted = {"keys", *STATE, *(f"secrets-{holder}" for holder in HOLDERS)}
    if set(compose["volumes"]) != wanted:
        yield f"volumes: {sorted(set(compose['volumes']) ^ wanted)} are in the file or in the table alone"
    made = {str(mount).split(":")[0] for mount in compose["services"]["keys"]["volumes"]}
    if not wanted <= made:
        yield f"keys: does not make {sorted(wanted - made)}"


RULES = (_image, _account, _limits, _health, _environment, _mounts)
