"""The deployment as `docker compose` shows it: commands, containers, addresses."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack.layout import CHECKOUT


class EngineFailed(Exception):
    """A command of the engine failed; the text is its own."""


@dataclass(frozen=True, slots=True)
class Container:
    """One running container."""

    service: str
    name: str
    facts: Mapping[str, Any]

    @property
    def addresses(self) -> dict[str, str]:
        """Network -> address there."""
        networks = self.facts["NetworkSettings"]["Networks"]
        return {name: each["IPAddress"] for name, each in networks.items() if each["IPAddress"]}


class Engine:
    """Commands to one deployment. COMPOSE and DOCKER name other clients than `docker compose` and `docker`."""

    def __init__(self) -> None:
        self._docker = shlex.split(os.environ.get("DOCKER", "docker"))
        self._compose = shlex.split(os.environ.get("COMPOSE", " ".join((*self._docker, "compose"))))

    def compose(self, *words: str, check: bool = True, told: str = "", seconds: float = 900) -> str:
        """What `docker compose …` prints. Raises EngineFailed."""
        return self._run([*self._compose, "--file", str(CHECKOUT / "docker-compose.yml"), *words], check, told, seconds)

    def docker(self, *words: str, check: bool = True, seconds: float = 120) -> str:
        """What `docker …` prints. Raises EngineFailed."""
        return self._run([*self._docker, *words], check, "", seconds)

    def succeeds(self, container: str, *words: str) -> bool:
        """Whether a command inside a container ends with 0."""
        done = subprocess.run([*self._docker, "exec", container, *words], capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    def containers(self) -> dict[str, Container]:
        """The running containers by service."""
        ids = self.compose("--profile", "*", "ps", "--quiet", "--status", "running").split()
        if not ids:
            raise EngineFailed("nothing runs: `docker compose --profile dev up`")
        found = {}
        for facts in json.loads(self.docker("inspect", *ids)):
            service = facts["Config"]["Labels"]["com.docker.compose.service"]
            found[service] = Container(service, facts["Name"].lstrip("/"), facts)
        return found

    def _run(self, words: Sequence[str], check: bool, told: str, seconds: float) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, input=told, timeout=seconds)
        if check and done.returncode != 0:
            raise EngineFailed(f"{' '.join(words[:6])} … ended with {done.returncode}: {done.stderr.strip()[-1500:]}")
        return done.stdout
