"""The vault's calls as methods.

All of them raise `VaultError` (see errors.py) for what the vault refuses, `Unreachable` when no answer
came, and `BearerUnavailable` when there is no token to send.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from vault_client.bearer import Bearer
from vault_client.models import Credential, Lease, LentCredential, Released, Stored, TokenSet
from vault_client.transport import Transport


class NotAName(ValueError):
    """What was given as a name cannot be one, so nothing was sent."""


class VaultClient:
    """One vault, used synchronously; a client serves one thread at a time.

    url:    where the vault is, such as https://vault.example
    bearer: gives the access token for each request
    """

    def __init__(self, url: str, bearer: Bearer, *, timeout: float = 30.0, attempts: int = 4) -> None:
        self._transport = Transport(url, bearer, timeout=timeout, attempts=attempts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes connections."""
        self._transport.close()

    # Connections and their credentials.

    def connections(self, partner: str) -> Iterator[Credential]:
        """Every connection of a partner."""
        for found in self._pages(f"{_partner(partner)}/connections", "connections"):
            yield Credential.model_validate(found)

    def describe(self, partner: str, connection: str) -> Credential:
        """One connection without its tokens."""
        return Credential.model_validate(self._get(_credential(partner, connection)))

    def put(
        self, partner: str, connection: str, tokens: TokenSet, *, replaces: int | None, key: str | None = None
    ) -> Stored:
        """Stores a token set: the first one with `replaces=None`, else over exactly that version.

        It is sent again when the answer was lost, under one Idempotency-Key, so that it happens once; give
        a `key` of your own to make repetitions of your own safe as well.
        """
        condition = {"If-None-Match": "*"} if replaces is None else {"If-Match": f'"{replaces}"'}
        answer = self._transport.send(
            "PUT",
            _credential(partner, connection),
            body=tokens.body(),
            headers={**condition, "Idempotency-Key": key or str(uuid.uuid4())},
            repeatable=True,
        )
        return Stored.model_validate_json(answer.content)

    def release(self, partner: str, connection: str) -> Released:
        """The access token. Raises Conflict of kind `reconnect-needed` for one that has expired."""
        answer = self._transport.send("POST", f"{_credential(partner, connection)}/release", repeatable=True)
        return Released.model_validate_json(answer.content)

    # Leases.

    def lease(
        self, partner: str, template: str, *, connection: str | None = None, ttl_seconds: int | None = None
    ) -> LentCredential:
        """A new lease. Never sent twice: each one that arrives makes a credential."""
        wanted = {"template": template, "connection": connection, "ttl_seconds": ttl_seconds}
        body = {name: value for name, value in wanted.items() if value is not None}
        document = self._transport.send("POST", f"{_partner(partner)}/leases", body=body).json()
        facts = dict(document["credential"])
        secret = facts.pop("password", None) or facts.pop("access_token", None)
        return LentCredential.model_validate({"lease": document["lease"], "facts": facts, "secret": secret})

    def leases(self, partner: str) -> Iterator[Lease]:
        """Every lease of a partner, ended ones among them."""
        for found in self._pages(f"{_partner(partner)}/leases", "leases"):
            yield Lease.model_validate(found)

    def renew_lease(self, partner: str, lease: str, *, ttl_seconds: int | None = None) -> Lease:
        """A later end for one's own lease."""
        body = {} if ttl_seconds is None else {"ttl_seconds": ttl_seconds}
        answer = self._transport.send("POST", f"{_partner(partner)}/leases/{_name(lease)}/renew", body=body)
        return Lease.model_validate_json(answer.content)

    def end_lease(self, partner: str, lease: str) -> Lease:
        """Ends a lease; its `state` is `ending` while its target has not agreed."""
        answer = self._transport.send("DELETE", f"{_partner(partner)}/leases/{_name(lease)}", repeatable=True)
        return Lease.model_validate_json(answer.content)

    def end_leases(
        self, reason: str, *, partner: str | None = None, session: str | None = None, subject: str | None = None
    ) -> Mapping[str, Any]:
        """Ends the leases of a session, a person or a partner; answers which were living, by partner."""
        wanted = {"reason": reason, "partner": partner, "session": session, "subject": subject}
        body = {name: value for name, value in wanted.items() if value is not None}
        answer = self._transport.send("POST", "/v1/leases/revocations", body=body, repeatable=True)
        return dict(answer.json()["ending"])

    # What operators look at.

    def audit(self, partner: str) -> Iterator[Mapping[str, Any]]:
        """A partner's audit trail in its order."""
        yield from self._pages(f"{_partner(partner)}/audit", "events")

    def digest(self, partner: str | None = None, *, days: int = 7, markdown: bool = False) -> str:
        """The compliance digest of one partner or of all, as JSON or Markdown text."""
        query: dict[str, str | int] = {"days": days, **({} if partner is None else {"partner": partner})}
        accept = {"Accept": "text/markdown" if markdown else "application/json"}
        return self._transport.send("GET", "/v1/compliance/digest", headers=accept, query=query, repeatable=True).text

    def rotate(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Begins a rotation of keys; see the OpenAPI document for the fields."""
        return dict(self._transport.send("POST", "/v1/keys/rotations", body=request).json())

    def rotation(self, rotation: str) -> Mapping[str, Any]:
        """How far a rotation has got."""
        return self._get(f"/v1/keys/rotations/{_name(rotation)}")

    def rotations(self) -> Mapping[str, Any]:
        """The latest rotations."""
        return self._get("/v1/keys/rotations")

    def steer_rotation(self, rotation: str, verb: str) -> Mapping[str, Any]:
        """`pause`, `resume` or `abort`."""
        path = f"/v1/keys/rotations/{_name(rotation)}/{_name(verb)}"
        return dict(self._transport.send("POST", path, repeatable=True).json())

    def migration(self) -> Mapping[str, Any]:
        """Where the move from the earlier row format stands."""
        return self._get("/v1/legacy/status")

    def _get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        answer: httpx.Response = self._transport.send("GET", path, query=query, repeatable=True)
        return dict(answer.json())

    def _pages(self, path: str, name: str) -> Iterator[Mapping[str, Any]]:
        after: str | int | None = None
        while True:
            page = self._get(path, {} if after is None else {"after": after})
            yield from page[name]
            after = page.get("next")
            if after is None:
                return


def _name(text: str) -> str:
    # A name out of somebody's hand must not become a path of its own, and dots are no characters to escape.
    if text in ("", ".", ".."):
        raise NotAName("that cannot be a name")
    return quote(text, safe="")


def _partner(partner: str) -> str:
    return f"/v1/partners/{_name(partner)}"


def _credential(partner: str, connection: str) -> str:
    return f"{_partner(partner)}/connections/{_name(connection)}/credential"
