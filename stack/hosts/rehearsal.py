"""`make test-hosts`: a host with systemd in a container, the deployment on it from nothing, and what has to hold then.

    python -m stack.hosts.rehearsal [--keep]        exit 0 when every step ended as it must, else 1

It needs root, a container engine and a release (`make release`). What it starts it ends, unless told --keep.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from identity.trust import authorities
from stack.demo.narrator import Narrator, StoryBroken, expect
from stack.hosts.lab import Host, HostFailed
from stack.layout import CHECKOUT
from stack.login import Factor, FirstLogin, HttpLogin, Login, LoginFailed

URL = "https://iam.localhost:8443"
ISSUER = f"{URL}/realms/tradepulse-dev"
PARTNER = "acme-capital"


class Rehearsal:
    """One run on one host."""

    def __init__(self, host: Host, place: Path, tell: Narrator) -> None:
        self._host = host
        self._place = place
        self._tell = tell

    def deploy(self) -> None:
        """From nothing; then once more, which changes nothing."""
        with self._tell.step("site.yml --check on a fresh host"):
            self._play("site.yml", "--check")
        with self._tell.step("site.yml"):
            self._tell.good(f"{self._play('site.yml')['changed']} tasks changed something")
        with self._tell.step("site.yml again"):
            changed = self._play("site.yml")["changed"]
            expect(changed == 0, "nothing to change", f"{changed} tasks that changed something")
        with self._tell.step("site.yml --check on a live host"):
            changed = self._play("site.yml", "--check")["changed"]
            expect(changed == 0, "nothing to change", f"{changed} tasks that would change something")

    def job(self) -> None:
        """A login through the proxy from outside, and a call with the token."""
        with self._outside(), httpx.Client(base_url=URL, verify=authorities(), timeout=60, trust_env=False) as proxy:
            with self._tell.step("A trader of Acme Capital logs in through the proxy"):
                told = self._host.ssh(
                    f"sudo TRADEPULSE_PROGRAM=stack.compose tradepulse-admin invite trader@acme.example {PARTNER} "
                    "partner-trader"
                )
                once: dict[str, str] = json.loads(told.strip().splitlines()[-1])
                password = secrets.token_urlsafe(18)
                with HttpLogin(ISSUER, timeout=240) as login:
                    first = FirstLogin(once["username"], once["once"], password, factor=Factor.AUTHENTICATOR_APP)
                    login.first_login(first)
                    tokens = login.login(Login(once["username"], password, acr="aal2"))
                claims = tokens.claims()
                expect(claims["assurance_level"] == "aal2", "aal2", claims["assurance_level"])
                bearer = {"Authorization": f"Bearer {tokens.access_token}"}
                reply = proxy.get(f"/v1/partners/{PARTNER}/connections", headers=bearer)
                expect(reply.status_code == 200, "200 from the vault", f"{reply.status_code} {reply.text[:200]}")
                self._tell.good("the token says aal2, and the vault answers to it")
            with self._tell.step("The proxy shows nothing else"):
                for path in ("/admin/", "/realms/master/.well-known/openid-configuration", "/metrics", "/health/ready"):
                    reply = proxy.get(path)
                    expect(reply.status_code in (400, 404), f"nothing at {path}", reply.status_code)

    def look(self) -> None:
        """The host from inside and from outside."""
        with self._tell.step("From outside only ssh and the proxy are open"):
            wrong = [port for port in (5432, 8181, 8182, 8200, 8300, 8320, 8400, 8500, 9000) if self._opens(port)]
            expect(not wrong, "closed ports", f"open {wrong}")
        with self._tell.step("Secrets belong to one service each, and to nobody else"):
            loose = self._host.ssh(
                "sudo find /etc/tradepulse/secrets -mindepth 2 -type f -not -perm 0600; "
                "sudo find /etc/tradepulse -name '*.env' -not -perm 0600"
            )
            expect(not loose.strip(), "0600", loose)
        with self._tell.step("No TLS older than 1.2"):
            where = ["-connect", f"{self._host.address}:8443", "-servername", "iam.localhost"]
            done = subprocess.run(
                ["openssl", "s_client", *where, "-tls1_1"],
                input="", capture_output=True, text=True, check=False, timeout=30,
            )  # fmt: skip
            expect("Cipher is (NONE)" in done.stdout or done.returncode != 0, "a refusal", done.stdout[-200:])
        with self._tell.step("systemd-analyze security"):
            told = self._host.ssh(
                "for unit in /etc/systemd/system/tradepulse-*.service; do "
                'sudo systemd-analyze security --no-pager "${unit##*/}" | tail -n 1; done'
            )
            figures = [float(found) for found in re.findall(r": ([0-9.]+) ", told)]
            expect(bool(figures) and max(figures) < 3, "every unit below 3.0", told)
            self._tell.good(f"{len(figures)} units, {min(figures)} to {max(figures)}")

    def _play(self, *words: str) -> dict[str, int]:
        """What ansible-playbook counted. Raises HostFailed."""
        program = Path(sys.executable).with_name("ansible-playbook")
        log = self._place / "play.log"
        with log.open("w") as file:
            done = subprocess.run(
                [program, "-i", self._place / "hosts.yml", *words],
                cwd=CHECKOUT / "ansible", stdout=file, stderr=subprocess.STDOUT, check=False, timeout=3600,
            )  # fmt: skip
        told = log.read_text()
        recap = {name: int(count) for name, count in re.findall(r"(ok|changed|failed|unreachable)=(\d+)", told)}
        if done.returncode != 0:
            raise HostFailed(f"{' '.join(words)} ended with {done.returncode}: {told[-2500:]}")
        return recap

    def _opens(self, port: int) -> bool:
        try:
            socket.create_connection((self._host.address, port), timeout=2).close()
        except OSError:
            return False
        return True

    @contextmanager
    def _outside(self) -> Iterator[None]:
        """The host's names as somebody outside knows them, and its authority believed."""
        usual, before = socket.getaddrinfo, os.environ.get("SSL_CERT_FILE")

        def resolved(host: Any, *words: Any, **more: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            ours = isinstance(name, str) and name.endswith(".localhost")
            return usual(self._host.address if ours else host, *words, **more)

        socket.getaddrinfo = resolved
        os.environ["SSL_CERT_FILE"] = str(self._place / "secrets" / "keys" / "ca.pem")
        try:
            yield
        finally:
            socket.getaddrinfo = usual
            os.environ.pop("SSL_CERT_FILE")
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before


def main(words: list[str]) -> int:
    """Run it."""
    keep, started = "--keep" in words, time.monotonic()
    place = Path(os.environ.get("TRADEPULSE_HOSTS_DIR") or tempfile.mkdtemp(prefix="tradepulse-hosts-"))
    host = Host("tradepulse-iam1", place)
    try:
        try:
            host.begin()
            run = Rehearsal(host, place, Narrator())
            run.deploy()
            run.job()
            run.look()
        finally:
            if not keep:
                host.end()
    except (StoryBroken, HostFailed, LoginFailed, httpx.HTTPError, OSError, subprocess.SubprocessError) as problem:
        print(f"\nThe rehearsal broke: {problem}", file=sys.stderr)
        return 1
    print(f"\n{time.monotonic() - started:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
