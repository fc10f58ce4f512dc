"""People of a test's own on a running stack: account, session, offline token, grants; and the command that ends all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from repository_world import SAMPLE, make

from admin_sync.load.schema import Binding
from admin_sync.repository import Repository, repository_settings
from stack.layout import CHECKOUT
from stack.login import Factor, FirstLogin, HttpLogin, Login, Tokens

if TYPE_CHECKING:
    from tests.conftest import Stack

DOMAIN = "tradepulse.example"


class Offboarding:
    """The command with a stack's settings, and what there is to look at afterwards."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        # A repository of the test's own: what is barred here is barred for nobody else's tests.
        place = make(folder / "iam", SAMPLE)
        self.env: dict[str, str] = {
            **stack.env,
            "ADMIN_SYNC_REPOSITORY": str(place),
            "ADMIN_SYNC_OFFBOARDING_DIR": str(folder / "journals"),
            # A bundle of its own, too, which the stack's OPA does not see.
            "ADMIN_SYNC_BUNDLE_DIR": str(folder / "bundles"),
            "ADMIN_SYNC_OPA_URL": "",
            # The people of these tests are made by them, and HR knows nothing of them.
            "ACCESS_ROSTER_FILE": "",
            "ADMIN_SYNC_REALM_DIR": str(CHECKOUT / "realm" / "base"),
        }
        (folder / "bundles").mkdir()

    @property
    def repository(self) -> Repository:
        return Repository(repository_settings(self.env))

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """`admin-sync` with these words, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "admin_sync", *words],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.env, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def killed_at(self, step: str, *words: str) -> bool:
        """Run it and kill it, with no chance to tidy up, as soon as it says that it begins a step; whether it did."""
        journal = self.journal
        seen = len(journal())
        process = subprocess.Popen(
            [sys.executable, "-m", "admin_sync", *words],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while process.poll() is None:
                if any(line["what"] == "begun" and line["step"] == step for line in journal()[seen:]):
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return True
                time.sleep(0.002)
            return False
        finally:
            process.kill()
            process.wait()

    def journal(self) -> list[dict[str, Any]]:
        """Every whole line of every journal."""
        lines: list[dict[str, Any]] = []
        for path in sorted((self.folder / "journals").glob("*.jsonl")):
            whole = path.read_bytes().rpartition(b"\n")[0]
            lines += [orjson.loads(line) for line in whole.splitlines()]
        return lines

    def decides(self, claims: Mapping[str, Any], permission: str, environment: str = "dev") -> dict[str, Any]:
        """What the rules of the test's own bundle say to a token's claims, asked of OPA's evaluator itself."""
        question = question_of(claims, permission, environment)
        unpacked = self.folder / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        subprocess.run(
            ["tar", "xzf", str(self.folder / "bundles" / "bundle.tar.gz"), "-C", str(unpacked)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        (unpacked / ".signatures.json").unlink(missing_ok=True)
        done = subprocess.run(
            [
                self.env["ADMIN_SYNC_OPA_BIN"], "eval", "--bundle", str(unpacked), "--stdin-input", "--format=values",
                "data.tradepulse.authz.decision",
            ],
            input=json.dumps(question), capture_output=True, text=True, check=True,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)[0]
        return answer


def account(stack: Stack, name: str) -> str:
    """The address of a new account in dev that nobody has logged in with."""
    email = f"{name}.{secrets.token_hex(3)}@{DOMAIN}"
    body = {"username": email, "email": email, "emailVerified": True, "enabled": True}
    stack.admin.post("/tradepulse-dev/users", body)
    return email


class Person:
    """Somebody with an account in dev, in group research, logged in, with an offline token."""

    def __init__(self, world: Offboarding, name: str, *, environment: str = "dev", offline: bool = True) -> None:
        self.email = f"{name}.{secrets.token_hex(3)}@{DOMAIN}"
        admin = world.stack.admin
        self.issuer = world.env["TRADEPULSE_ISSUER"].replace("tradepulse-dev", f"tradepulse-{environment}")
        self.path = f"/tradepulse-{environment}"
        self._admin = admin
        temporary, self.password = secrets.token_urlsafe(12), f"Aa1-{secrets.token_urlsafe(12)}"
        self.id = admin.post(
            f"{self.path}/users",
            {
                "username": self.email,
                "email": self.email,
                "emailVerified": True,
                "enabled": True,
                "requiredActions": ["tradepulse-choose-factor"],
                "credentials": [{"type": "password", "value": temporary, "temporary": True}],
            },
        )
        self.login = HttpLogin(self.issuer)
        first = FirstLogin(self.email, temporary, self.password, factor=Factor.AUTHENTICATOR_APP)
        self.tokens = self.login.first_login(first)
        self.offline: Tokens | None = None
        if offline:
            again = Login(self.email, self.password, scope="openid offline_access", factor=Factor.AUTHENTICATOR_APP)
            self.offline = self.login.login(again)

    def granted(self, world: Offboarding, group: str) -> None:
        """Bind them to a group in the test's own file, and give them in the realm what the stack's reconciler leaves.

        That follows another file, which knows nothing of them: a group of ours it would take away at once.
        """
        made = self._admin.post(f"{self.path}/groups", {"name": f"drill-{self.email.partition('@')[0]}"})
        self._admin.put(f"{self.path}/users/{self.id}/groups/{made}")
        management = self._admin.get(f"{self.path}/clients", clientId="realm-management")[0]["id"]
        role = self._admin.get(f"{self.path}/clients/{management}/roles/query-users")
        self._admin.post(f"{self.path}/users/{self.id}/role-mappings/clients/{management}", [role])
        binding = {"subject": {"user": self.email}, "group": group, "environments": ["dev"]}
        with world.repository.change("operator@tradepulse.example", "Grant") as change:
            change.add(Binding.model_validate(binding))

    def claims(self, *roles: str) -> dict[str, Any]:
        """What a fresh token of theirs says, as if it carried these roles."""
        return {**self.login.login(Login(self.email, self.password)).claims(), "groups": list(roles)}

    def refreshed(self, tokens: Tokens) -> int:
        """The status that Keycloak answers to a refresh with."""
        form = {"grant_type": "refresh_token", "client_id": "tradepulse-cli", "refresh_token": tokens.refresh_token}
        answer = httpx.post(f"{self.issuer}/protocol/openid-connect/token", data=form, trust_env=False)
        return answer.status_code

    def has(self, what: str) -> Any:
        """What Keycloak lists below the account."""
        return self._admin.get(f"{self.path}/users/{self.id}/{what}")

    @property
    def enabled(self) -> bool:
        return bool(self._admin.get(f"{self.path}/users/{self.id}")["enabled"])


def question_of(claims: Mapping[str, Any], permission: str, environment: str) -> dict[str, Any]:
    """What a service would ask OPA about a token."""
    return {
        "environment": environment,
        "permission": permission,
        "partner": None,
        "resource": {},
        "subject": {
            "kind": "person",
            "id": claims["sub"],
            "email": claims["email"],
            "environment": environment,
            "client": claims["azp"],
            "groups": claims["groups"],
            "assurance_level": claims["assurance_level"],
            "acr": claims["acr"],
            "amr": claims["amr"],
            "auth_time": claims["auth_time"],
            "organizations": {},
        },
    }
