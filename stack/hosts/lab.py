"""Hosts to try playbooks on: Debian with systemd and ssh in a container, and an inventory that names them."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from stack.images import base
from stack.images.recipes import BASE
from stack.layout import CHECKOUT, Layout
from stack.steps import Commands, StepFailed

IMAGE = "tradepulse-lab/host:bookworm"

GROUPS = ("postgresql", "keycloak", "control", "vault", "broker", "workspace", "proxy")

SITE = {
    "WORKFORCE_ISSUER": "http://neighbours.localhost:8090/workforce",
    "MOCK_ISSUER": "http://neighbours.localhost:8090/mock",
    "CI_ISSUER": "http://neighbours.localhost:8090/ci",
    "PAPER_BROKER_ISSUER": "http://paper.localhost:8091",
}
"""Development's providers; none of them is asked by what is tried here."""


class HostFailed(Exception):
    """A command on the host, or about it, failed; the text is its own."""


class Host:
    """One host that is named `name`; what belongs to it on this machine lies below `place`."""

    def __init__(self, name: str, place: Path) -> None:
        self.name = name
        self.place = place
        self.address = ""
        self._docker = shlex.split(os.environ.get("DOCKER", "docker"))

    def begin(self) -> None:
        """Build the image where it is missing, boot the host, wait for ssh, write the inventory."""
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key()
        if not self._run([*self._docker, "images", "--quiet", IMAGE]).strip():
            self._build()
        self._run([
            *self._docker, "run", "--detach", "--name", self.name, "--hostname", "iam1",
            # What systemd needs of a container, and what the firewall does.
            "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined",
            "--security-opt", "apparmor=unconfined", "--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
            "--tmpfs", "/run", "--tmpfs", "/run/lock",
            "--volume", f"{self.place / 'key.pub'}:/etc/ssh/deploy.pub:ro", IMAGE,
        ])  # fmt: skip
        self.address = self._run(
            [*self._docker, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name]
        ).strip()
        self._known()
        self._inventory()

    def end(self) -> None:
        """Remove it."""
        self._run([*self._docker, "rm", "--force", "--volumes", self.name])

    def ssh(self, command: str, *, seconds: float = 300) -> str:
        """What a command on the host prints. Raises HostFailed."""
        return self._run(["ssh", *self._options(), f"deploy@{self.address}", command], seconds=seconds)

    def _options(self) -> list[str]:
        known = self.place / "known_hosts"
        return ["-i", str(self.place / "key"), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]

    def _key(self) -> None:
        key = self.place / "key"
        if not key.exists():
            self._run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])

    def _build(self) -> None:
        layout, commands = Layout.here(), Commands()
        try:
            if not self._run([*self._docker, "images", "--quiet", BASE]).strip():
                base.build(self._docker, layout.tools / "images", commands, layout.logs)
            recipe = CHECKOUT / "deploy" / "images" / "host.Dockerfile"
            words: list[str | Path] = [*self._docker, "build", "--tag", IMAGE, "--file", recipe, recipe.parent]
            commands.run(words, log=layout.logs / "image-host.log", environment={"DOCKER_BUILDKIT": "0"})
        except StepFailed as problem:
            raise HostFailed(str(problem)) from problem

    def _known(self) -> None:
        """Note the host's key as soon as it answers."""
        for _ in range(60):
            found = subprocess.run(["ssh-keyscan", self.address], capture_output=True, text=True, check=False)
            if found.stdout:
                (self.place / "known_hosts").write_text(found.stdout)
                return
            time.sleep(1)
        raise HostFailed(f"{self.name} does not answer by ssh")

    def _inventory(self) -> None:
        host = {
            "ansible_host": self.address,
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": str(self.place / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.place / 'known_hosts'}",
        }
        site = {
            "ansible_become": True,
            "tradepulse_host": "iam.localhost",
            "tradepulse_port": 8443,
            "tradepulse_environment": "dev",
            "tradepulse_secrets": str(self.place / "secrets"),
            "tradepulse_site": SITE,
        }
        groups: dict[str, Any] = {name: {"hosts": {"iam1": {}}} for name in GROUPS}
        document = {"all": {"children": {"tradepulse": {"hosts": {"iam1": host}, "vars": site}, **groups}}}
        (self.place / "hosts.yml").write_text(yaml.safe_dump(document))

    def _run(self, words: list[str], *, seconds: float = 300) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)
        if done.returncode != 0:
            raise HostFailed(f"{' '.join(map(str, words[:4]))} … ended with {done.returncode}: {done.stderr[-1500:]}")
        return done.stdout
