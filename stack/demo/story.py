"""The plot: from YAML to a broker token that is sealed, released to the right person, and accounted for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import httpx

from admin_sync.keycloak.connection import Connection
from stack.demo.cast import invite
from stack.demo.narrator import Narrator, expect
from stack.layout import Layout
from stack.login import BrowserLogin, HttpLogin, Login, Tokens, open_login
from stack.paper_broker import run as paper_broker
from stack.paper_broker.visit import agree

OURS, THEIRS = "acme-capital", "birch-research"
CONNECTION = f"/v1/partners/{OURS}/connections/paper-main"
REFRESH_MARK = "paper-refresh-"
"""How every refresh token of the practice broker begins."""


class Story:
    """One telling. `settings` are the stack's own (`.stack/env`)."""

    def __init__(self, layout: Layout, settings: Mapping[str, str], admin: Connection, narrator: Narrator) -> None:
        self._layout = layout
        self._settings = settings
        self._admin = admin
        self._tell = narrator
        self._realm = settings["TRADEPULSE_ISSUER"].rsplit("/", 1)[-1]
        self._vault = httpx.Client(base_url=f"http://{settings['VAULT_BIND']}", timeout=15)
        self._proxy = httpx.Client(base_url=f"http://{settings['PROXY_LISTEN']}", timeout=15)
        self._broker_token = ""

    def tell(self) -> None:
        """All steps in order. Raises StoryBroken at the first that does not end as it must."""
        self._synced()
        with open_login(self._settings["TRADEPULSE_ISSUER"]) as login:
            again = self._enrolled(login)
            token = self._stepped_up(login, again)
        self._linked(token)
        self._released(token)
        self._guarded(token)
        self._refused()
        self._sealed()
        self._accounted()

    def _synced(self) -> None:
        with self._tell.step("Keycloak and OPA are as configs/iam says"):
            result = self._admin_sync("plan", "--detailed-exitcode")
            for line in result.stdout.splitlines():
                if line.startswith("Plan:"):
                    self._tell.say(line)
            expect(result.returncode == 0, "an empty plan", f"exit {result.returncode}: {result.stdout[-500:]}")
            self._tell.good("a second plan is empty in every environment")

    def _enrolled(self, login: BrowserLogin | HttpLogin) -> Login:
        with self._tell.step("A trader of Acme Capital logs in for the first time"):
            first = invite(self._admin, self._realm, email="trader@acme.example", partner=OURS, role="partner-trader")
            tokens = login.first_login(first)
            factor = "a security key in Chromium" if isinstance(login, BrowserLogin) else "an authenticator app"
            self._tell.say(f"chose a password, then registered {factor}")
            level = tokens.claims()["assurance_level"]
            expect(level == "aal1", "aal1 right after enrolment", level)
            reply = self._vault.post(f"{CONNECTION}/credential/release", headers=_bearer(tokens))
            expect(reply.status_code == 401, "a step-up demand", reply.status_code)
            self._tell.say(f"the vault answers 401, {reply.headers['WWW-Authenticate']}")
            self._tell.good("registering a factor proves nothing yet: aal1 opens nothing")
        return Login(first.username, first.new_password, acr="aal2")

    def _stepped_up(self, login: BrowserLogin | HttpLogin, again: Login) -> Tokens:
        with self._tell.step("The trader steps up and holds a token that every service understands"):
            tokens = login.login(again)
            claims = tokens.claims()
            for name in ("aud", "email", "groups", "assurance_level", "amr", "organization"):
                self._tell.say(f"{name:16} {json.dumps(claims.get(name))}")
            expect(claims["assurance_level"] == "aal2", "aal2", claims["assurance_level"])
            expect(claims["aud"] == self._settings["TRADEPULSE_OAUTH2_AUDIENCE"], "one audience", claims["aud"])
            self._tell.good("the factor was used, and the token names our audience alone")
        return tokens

    def _linked(self, tokens: Tokens) -> None:
        with self._tell.step("The trader connects the practice broker"):
            headers = _bearer(tokens)
            started = self._vault.post(
                f"/v1/partners/{OURS}/connections",
                headers=headers,
                json={"broker": "paper", "connection": "paper-main", "redirect_uri": "http://127.0.0.1:1/callback"},
            )
            expect(started.status_code == 201, "an authorize URL", f"{started.status_code} {started.text[:300]}")
            url = started.json()["authorize_url"]
            self._tell.say(f"the browser goes to {url.partition('?')[0]} with PKCE, state and nonce")
            password = self._layout.secret(paper_broker.PASSWORD).read_text().strip()
            given = agree(url, account="acme-desk", password=password)
            self._tell.say(f"the account's owner agrees; the broker answers with {', '.join(sorted(given))}")
            done = self._vault.post("/v1/link/callback", headers=headers, json=given)
            expect(done.status_code == 200, "a linked connection", f"{done.status_code} {done.text[:300]}")
            self._tell.say(done.text[:200])
            again = self._vault.post("/v1/link/callback", headers=headers, json=given)
            expect(again.status_code == 400, "a state that is good once", again.status_code)
            self._tell.good("sealed under Acme Capital's own key")

    def _released(self, tokens: Tokens) -> None:
        with self._tell.step("The trader receives the access token and trades with it"):
            reply = self._vault.post(f"{CONNECTION}/credential/release", headers=_bearer(tokens))
            expect(reply.status_code == 200, "the token", f"{reply.status_code} {reply.text[:300]}")
            self._broker_token = reply.json()["access_token"]
            expect(REFRESH_MARK not in reply.text, "no refresh token in the reply", "one")
            order = httpx.post(
                f"{self._settings['PAPER_BROKER_ISSUER']}/v1/orders",
                headers={"Authorization": f"Bearer {self._broker_token}"},
                trust_env=False,
            )
            expect(order.status_code == 201, "an order that is taken", f"{order.status_code} {order.text[:200]}")
            self._tell.say(order.text)
            self._tell.good("the access token places an order; the refresh token stays inside")

    def _guarded(self, tokens: Tokens) -> None:
        with self._tell.step("The same from outside, through the DMZ proxy"):
            release = f"{CONNECTION}/credential/release"
            reply = self._proxy.post(release, headers=_bearer(tokens))
            expect(reply.status_code == 200, "the token", f"{reply.status_code} {reply.text[:300]}")
            forged = {"X-TradePulse-Authorization": _bearer(tokens)["Authorization"]}
            reply = self._proxy.post(release, headers=forged)
            expect(reply.status_code == 401, "no belief in a header of ours", reply.status_code)
            for path in ("/admin/", "/v1/..%2fadmin/", "/metrics"):
                reply = self._proxy.get(path)
                expect(reply.status_code in (400, 404), f"nothing at {path}", reply.status_code)
                self._tell.say(f"{path:16} {reply.status_code}")
            self._tell.good("the proxy knows who asks, believes no header of theirs, and shows nothing else")

    def _refused(self) -> None:
        with self._tell.step("An analyst of Birch Research asks for it too"):
            first = invite(
                self._admin, self._realm, email="analyst@birch.example", partner=THEIRS, role="partner-analyst"
            )
            with open_login(self._settings["TRADEPULSE_ISSUER"]) as login:
                login.first_login(first)
                tokens = login.login(Login(first.username, first.new_password, acr="aal2"))
            theirs = self._vault.post(f"{CONNECTION}/credential/release", headers=_bearer(tokens))
            nobodys = self._vault.post(
                "/v1/partners/no-such-partner/connections/x/credential/release", headers=_bearer(tokens)
            )
            expect(theirs.status_code == 404, "404", theirs.status_code)
            expect(_without_trace(theirs) == _without_trace(nobodys), "the answer of a missing object", theirs.text)
            self._tell.good("404, word for word the answer for a partner that does not exist")

    def _sealed(self) -> None:
        with self._tell.step("The database holds ciphertext, and shows it to one partner only"):
            password = Path(self._settings["VAULT_DATABASE_PASSWORD_FILE"]).read_text().strip()
            values, foreign = asyncio.run(_look(self._settings, password))
            expect(len(values) == 2, "two sealed values of Acme Capital", len(values))
            for name, sealed in values.items():
                expect(self._broker_token.encode() not in sealed, "ciphertext", "the token itself")
                expect(REFRESH_MARK.encode() not in sealed, "ciphertext", "the token itself")
                self._tell.say(f"{name:14} {len(sealed)} bytes: {sealed[:5].hex()} {sealed[5:29].hex()} …")
            expect(foreign == 0, "no row under Birch Research's setting", foreign)
            self._tell.good("as the vault's own database role, with another partner's setting: 0 rows")

    def _accounted(self) -> None:
        with self._tell.step("Every effect left a line, and no line can be changed unseen"):
            folder = Path(self._settings["TRADEPULSE_AUDIT_DIR"])
            for name in ("iam_events.jsonl", "api_events.jsonl"):
                file = folder / name
                public_key = self._layout.secret("audit-checkpoint.pub")
                result = self._admin_sync("audit", "verify", str(file), "--public-key", str(public_key))
                expect(result.returncode == 0, f"{name} verifies", result.stdout[-500:] + result.stderr[-500:])
                text = file.read_text()
                expect(self._broker_token not in text and REFRESH_MARK not in text, "no token in it", "one")
                self._tell.say(result.stdout.strip().splitlines()[-1])
            self._tell.good("both chains verify and hold no token")

    def _admin_sync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._layout.python), "-m", "admin_sync", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=self._layout.checkout, env={**os.environ}, check=False
        )


def _bearer(tokens: Tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.access_token}"}


def _without_trace(reply: httpx.Response) -> dict[str, object]:
    """A problem body without the one member that differs from request to request."""
    return {name: value for name, value in reply.json().items() if name != "trace_id"}


async def _look(settings: Mapping[str, str], password: str) -> tuple[dict[str, bytes], int]:
    """What the vault's own role sees of our sealed values, and how many of ours with the other partner's setting."""
    connection = await asyncpg.connect(settings["VAULT_DATABASE_URL"], password=password)
    query = (
        "SELECT access_sealed, refresh_sealed FROM vault.credential WHERE partner = $1 AND connection = 'paper-main'"
    )
    try:
        seen: list[list[asyncpg.Record]] = []
        for partner in (OURS, THEIRS):
            async with connection.transaction(readonly=True):
                await connection.execute("SELECT set_config('vault.partner', $1, true)", partner)
                seen.append(await connection.fetch(query, OURS))
        return {name: bytes(value) for row in seen[0] for name, value in row.items()}, len(seen[1])
    finally:
        await connection.close()
