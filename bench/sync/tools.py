"""How each tool is told to make a realm, to look whether it is as declared, and to apply one change.

A tool turns a workload into files in a directory of its own and names the command for each case. What a tool
cannot do has a reason in its place. Secrets go in by environment variables or files, as their manuals say.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.peers import KCC, PROGRAMS, PROVIDER, TOFU
from bench.sync.formats import hcl, iam, kcadm, kcc
from bench.sync.server import Server
from bench.sync.workload import Workload
from stack.java import java, version
from stack.keycloak import built_home

FIRST = "first apply"
NO_OP = "no-op"
BLIND = "no-op by checksum"
CHANGE = "one change"

OURS_REST = "ours, REST"
OURS_BULK = "ours, bulk"
KCADM = "kcadm"


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its surroundings. `good`: the exit codes of a run that did what it should."""

    words: Sequence[str | Path]
    environment: Mapping[str, str] = field(repr=False)
    cwd: Path
    good: frozenset[int] = frozenset({0})


class Tool(Protocol):
    """One way to keep a realm as declared."""

    name: str

    def absent(self, size: str) -> str | None:
        """Why it takes no part at this size; None if it does."""
        ...

    def prepare(self, workload: Workload, directory: Path) -> None:
        """Writes the workload; a second time over the first, for the change."""
        ...

    def command(self, case: str, workload: Workload, directory: Path) -> Command | str:
        """The command of a case, or why there is none."""
        ...


def plain() -> dict[str, str]:
    """The little of our environment that every program needs."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME") if name in os.environ}


class AdminSync:
    """Ours, by one of its two gateways."""

    def __init__(self, server: Server, gateway: str) -> None:
        self.name = {"rest": OURS_REST, "bulk": OURS_BULK}[gateway]
        self._server = server
        self._gateway = gateway

    def absent(self, size: str) -> str | None:
        return None

    def prepare(self, workload: Workload, directory: Path) -> None:
        iam.write(workload, directory / "iam")

    def command(self, case: str, workload: Workload, directory: Path) -> Command | str:
        if case == BLIND:
            return "it has no answer that does not look at the server"
        settings = dict(self._server.settings)
        # The realm alone is measured: no peer publishes a policy bundle.
        for name in ("ADMIN_SYNC_BUNDLE_DIR", "ADMIN_SYNC_OPA_URL", "ADMIN_SYNC_BUNDLE_KEY_FILE"):
            settings.pop(name, None)
        settings |= {"ADMIN_SYNC_GATEWAY": self._gateway, "TRADEPULSE_AUDIT_DIR": str(directory / "audit")}
        (directory / "audit").mkdir(exist_ok=True)
        verb = "drift" if case == NO_OP else "apply"
        words: list[str | Path] = [
            sys.executable,
            "-m",
            "admin_sync",
            verb,
            "--config",
            directory / "iam",
            "--no-color",
        ]
        return Command(words, {**plain(), **settings}, self._server.layout.checkout)


class ConfigCli:
    """keycloak-config-cli. Its default compares a checksum and does not look; `no-op` switches that off."""

    name = KCC

    def __init__(self, server: Server) -> None:
        self._server = server

    def absent(self, size: str) -> str | None:
        if PROGRAMS[KCC].find() is None:
            return PROGRAMS[KCC].absent
        return None if _newest_java() else "keycloak-config-cli needs Java 21 or newer"

    def prepare(self, workload: Workload, directory: Path) -> None:
        kcc.write(workload, directory / "kcc")

    def command(self, case: str, workload: Workload, directory: Path) -> Command | str:
        settings = {
            "KEYCLOAK_URL": self._server.url,
            "KEYCLOAK_GRANTTYPE": "client_credentials",
            "KEYCLOAK_LOGINREALM": "master",
            "KEYCLOAK_CLIENTID": self._server.client_id,
            "KEYCLOAK_CLIENTSECRET": self._server.secret,
            # Its own ten seconds are too short for a cold read of many clients.
            "KEYCLOAK_READTIMEOUT": "300s",
            "IMPORT_FILES_LOCATIONS": str(directory / "kcc" / "realm.json"),
            "IMPORT_CACHE_ENABLED": "false" if case == NO_OP else "true",
        }
        words = [str(_newest_java()), "-jar", str(PROGRAMS[KCC].find())]
        return Command(words, {**plain(), **settings}, directory)


class OpenTofu:
    """OpenTofu with the Keycloak provider, ten at a time as is its default."""

    name = TOFU

    def __init__(self, server: Server) -> None:
        self._server = server

    def absent(self, size: str) -> str | None:
        missing = [PROGRAMS[name] for name in (TOFU, PROVIDER) if PROGRAMS[name].find() is None]
        return missing[0].absent if missing else None

    def prepare(self, workload: Workload, directory: Path) -> None:
        hcl.write(workload, directory / "tofu")
        provider = PROGRAMS[PROVIDER].find()
        beside = directory / "provider"
        beside.mkdir(exist_ok=True)
        if provider is not None and not (beside / "terraform-provider-keycloak").exists():
            (beside / "terraform-provider-keycloak").symlink_to(provider.resolve())
        (directory / "tofu.rc").write_text(
            f'provider_installation {{\n  dev_overrides {{ "keycloak/keycloak" = "{beside}" }}\n  direct {{}}\n}}\n'
        )

    def command(self, case: str, workload: Workload, directory: Path) -> Command | str:
        if case == BLIND:
            return "-refresh=false is another question"
        settings = {
            "KEYCLOAK_URL": self._server.url,
            "KEYCLOAK_REALM": "master",
            "KEYCLOAK_CLIENT_ID": self._server.client_id,
            "KEYCLOAK_CLIENT_SECRET": self._server.secret,
            "TF_CLI_CONFIG_FILE": str(directory / "tofu.rc"),
            "CHECKPOINT_DISABLE": "1",
        }
        told = ["plan", "-detailed-exitcode"] if case == NO_OP else ["apply", "-auto-approve"]
        words = [str(PROGRAMS[TOFU].find()), *told, "-input=false", "-no-color", "-compact-warnings"]
        return Command(words, {**plain(), **settings}, directory / "tofu")


class Kcadm:
    """The tool that Keycloak brings along: one JVM for each object."""

    name = KCADM

    def __init__(self, server: Server) -> None:
        self._server = server

    def absent(self, size: str) -> str | None:
        return None if size == "small" else "a JVM for each object: about 1.5 s each, hours at this size"

    def prepare(self, workload: Workload, directory: Path) -> None:
        kcadm.write(workload, directory / "kcadm")

    def command(self, case: str, workload: Workload, directory: Path) -> Command | str:
        if case in (NO_OP, BLIND):
            return "it cannot tell: the first create fails because the realm exists"
        settings = {
            "KCADM": str(built_home(self._server.layout) / "bin" / "kcadm.sh"),
            "KCADM_CONFIG": str(directory / "kcadm.config"),
            "KC_CLI_CLIENT_SECRET": self._server.secret,
        }
        login = f'"$KCADM" config credentials --server {self._server.url} --realm master --client '
        login += f'{self._server.client_id} --config "$KCADM_CONFIG"'
        script = "change.sh" if case == CHANGE else "apply.sh"
        words = ["sh", "-c", f"{login} && sh {directory / 'kcadm' / script}"]
        return Command(words, {**plain(), **settings}, directory)


def tools(server: Server, wanted: Sequence[str]) -> list[Tool]:
    """The named ones in that order: `rest`, `bulk`, `kcc`, `tofu`, `kcadm`. Raises KeyError for any other."""
    made: dict[str, Tool] = {
        "rest": AdminSync(server, "rest"),
        "bulk": AdminSync(server, "bulk"),
        "kcc": ConfigCli(server),
        "tofu": OpenTofu(server),
        "kcadm": Kcadm(server),
    }
    return [made[name] for name in wanted]


def _newest_java() -> Path | None:
    """A Java of version 21 or newer: JAVA_HOME's or PATH's, else whatever Debian has installed beside it."""
    candidates = [java(), *sorted(Path("/usr/lib/jvm").glob("*/bin/java"))]
    fit = [(version(path) or 0, path) for path in candidates if shutil.which(str(path))]
    number, path = max(fit, default=(0, Path()), key=lambda found: found[0])
    return path if number >= 21 else None
