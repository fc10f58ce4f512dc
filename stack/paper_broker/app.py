"""The broker over HTTP. Error answers of the token endpoint are those of RFC 6749 section 5.2."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stack.paper_broker.consent import COOKIE, MEANING, Asked, Waiting, form, refusal
from stack.paper_broker.control import Behaviour
from stack.paper_broker.grants import Grant, Grants, InvalidGrant
from stack.paper_broker.wire import NO_STORE, BadRequest, narrowed, read_form, token_response, without_port

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The one client that this broker knows, and the password of its practice accounts."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    password: str


class PaperBroker:
    """All endpoints over one memory."""

    def __init__(self, issuer: str, registration: Registration, grants: Grants, behaviour: Behaviour) -> None:
        self._issuer = issuer.rstrip("/")
        self._client = registration
        self._grants = grants
        self._behaviour = behaviour
        self._waiting = Waiting()
        made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True)
        made.ensure_kid()
        kept = grants.once("signing-key", json.dumps(made.as_dict(private=True)))
        self._key = ECKey.import_key(json.loads(kept))

    def application(self) -> Starlette:
        """The application, below the path of the issuer."""
        path = urllib.parse.urlsplit(self._issuer).path
        routes = [
            Route(f"{path}/authorize", self.ask, methods=["GET"]),
            Route(f"{path}/authorize", self.answer, methods=["POST"]),
            Route(f"{path}/token", self.token, methods=["POST"]),
            Route(f"{path}/revoke", self.revoke, methods=["POST"]),
            Route(f"{path}/jwks", self.keys),
            Route(f"{path}/.well-known/openid-configuration", self.metadata),
            Route(f"/.well-known/oauth-authorization-server{path}", self.metadata),
            Route(f"{path}/v1/orders", self.order, methods=["POST"]),
            Route(f"{path}/health", self.health),
        ]
        return Starlette(routes=routes)

    async def health(self, _: Request) -> Response:
        """It answers."""
        return JSONResponse({"status": "ok"})

    async def metadata(self, _: Request) -> Response:
        """RFC 8414."""
        return JSONResponse(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/authorize",
                "token_endpoint": f"{self._issuer}/token",
                "revocation_endpoint": f"{self._issuer}/revoke",
                "jwks_uri": f"{self._issuer}/jwks",
                "scopes_supported": sorted(MEANING),
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", _EXCHANGE],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    async def keys(self, _: Request) -> Response:
        """The public key of ID tokens."""
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def ask(self, request: Request) -> Response:
        """Shows the page, or says why not: to the client only when its address is beyond doubt."""
        query = request.query_params
        if any(len(query.getlist(name)) > 1 for name in query):
            return refusal("A parameter is there twice.")
        redirect_uri = query.get("redirect_uri", "")
        if query.get("client_id") != self._client.client_id or not self._registered(redirect_uri):
            return refusal("This client or its redirect URI is not registered here.")
        scopes = tuple((query.get("scope") or "read").split())
        problem = None
        if query.get("response_type") != "code":
            problem = "unsupported_response_type"
        elif query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            problem = "invalid_request"
        elif not set(scopes) <= set(MEANING):
            problem = "invalid_scope"
        if problem is not None:
            return self._back(redirect_uri, query.get("state"), error=problem)
        asked = Asked(
            client=self._client.client_id,
            redirect_uri=redirect_uri,
            state=query.get("state"),
            challenge=query["code_challenge"],
            nonce=query.get("nonce"),
            scopes=scopes,
            browser=secrets.token_urlsafe(24),
        )
        return form(self._waiting.add(asked), asked)

    async def answer(self, request: Request) -> Response:
        """Takes the owner's answer."""
        try:
            sent = await read_form(request)
        except BadRequest:
            return refusal("The form cannot be read.")
        name = sent.get("request", "")
        asked = self._waiting.of(name, request.cookies.get(COOKIE, ""))
        if asked is None:
            return refusal("This page is too old, or belongs to another browser. Start again.")
        if sent.get("answer") != "allow":
            self._waiting.drop(name)
            return self._back(asked.redirect_uri, asked.state, error="access_denied")
        account = sent.get("account", "")
        if not account or not secrets.compare_digest(sent.get("password", "").encode(), self._client.password.encode()):
            return form(name, asked, wrong=True)
        self._waiting.drop(name)
        code = self._grants.new_code(
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            nonce=asked.nonce,
            account=account,
            scopes=asked.scopes,
        )
        return self._back(asked.redirect_uri, asked.state, code=code)

    async def token(self, request: Request) -> Response:
        """RFC 6749 section 5, with whatever fault a test asked for."""
        behaviour, faults = self._behaviour, self._behaviour.next_faults()
        behaviour.counts["token_requests"] += 1
        await asyncio.sleep(faults.delay)
        if faults.status:
            return JSONResponse({"error": "temporarily_unavailable"}, faults.status, NO_STORE)
        if faults.error:
            return JSONResponse({"error": faults.error}, 400, NO_STORE)
        try:
            sent = await self._authenticated(request)
            given = self._granted(sent)
        except BadRequest as problem:
            status = 401 if str(problem) == "invalid_client" else 400
            return JSONResponse({"error": str(problem)}, status, NO_STORE)
        except InvalidGrant as problem:
            behaviour.counts[problem.reason] += 1
            return JSONResponse({"error": "invalid_grant"}, 400, NO_STORE)
        await asyncio.sleep(faults.late)
        return token_response(given, faults)

    async def revoke(self, request: Request) -> Response:
        """RFC 7009: a token that is not known is as good as revoked."""
        faults = self._behaviour.next_faults()
        await asyncio.sleep(faults.delay)
        if faults.status:
            return JSONResponse({"error": "temporarily_unavailable"}, faults.status, NO_STORE)
        try:
            sent = await self._authenticated(request)
        except BadRequest as problem:
            return JSONResponse({"error": str(problem)}, 401, NO_STORE)
        if self._grants.revoke(sent.get("token", "")):
            self._behaviour.counts["revoked"] += 1
        return Response(status_code=200, headers=NO_STORE)

    async def order(self, request: Request) -> Response:
        """Places an order, for a token with the scope `trade`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._grants.access(token) if scheme.lower() == "bearer" else None
        if grant is None:
            return JSONResponse({"error": "invalid_token"}, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if "trade" not in grant.scopes:
            return JSONResponse({"error": "insufficient_scope"}, 403)
        self._behaviour.counts["orders"] += 1
        return JSONResponse({"order": secrets.token_hex(8), "account": grant.account, "status": "accepted"}, 201)

    def _granted(self, sent: Mapping[str, str]) -> dict[str, object]:
        kind = sent.get("grant_type")
        if kind == "authorization_code":
            verifier = sent.get("code_verifier", "")
            if not 43 <= len(verifier) <= 128:
                raise BadRequest("invalid_request")
            challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            grant = self._grants.redeem(
                sent.get("code", ""), redirect_uri=sent.get("redirect_uri", ""), challenge=challenge
            )
            self._behaviour.counts["codes"] += 1
            refresh = self._issue(grant, "refresh") if "offline_access" in grant.scopes else None
            return self._tokens(grant, grant.scopes, refresh)
        if kind == "refresh_token":
            rotate = self._behaviour.rotates
            grant = self._grants.use_refresh(sent.get("refresh_token", ""), rotate=rotate)
            self._behaviour.counts["refreshes"] += 1
            return self._tokens(grant, narrowed(sent, grant), self._issue(grant, "refresh") if rotate else None)
        if kind == _EXCHANGE:
            # RFC 8693, for one purpose: a token with fewer scopes out of one with more.
            found = self._grants.access(sent.get("subject_token", ""))
            if found is None:
                raise InvalidGrant("dead_subject_token")
            self._behaviour.counts["exchanges"] += 1
            scopes = narrowed(sent, found)
            given = self._tokens(replace(found, family=self._grants.branch(found, scopes)), scopes, None)
            return {**given, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        raise BadRequest("unsupported_grant_type")

    def _issue(self, grant: Grant, kind: str) -> str:
        seconds = self._behaviour.access_seconds if kind == "access" else self._behaviour.refresh_seconds
        return self._grants.issue(grant.family, kind, grant.scopes, seconds)

    def _tokens(self, grant: Grant, scopes: tuple[str, ...], refresh: str | None) -> dict[str, object]:
        seconds = self._behaviour.access_seconds
        given: dict[str, object] = {
            "access_token": self._grants.issue(grant.family, "access", scopes, seconds),
            "token_type": "Bearer",
            "expires_in": int(seconds),
            "scope": " ".join(scopes),
        }
        if refresh is not None:
            given["refresh_token"] = refresh
        if grant.nonce is not None and "openid" in scopes:
            now = int(time.time())
            claims = {
                "iss": self._issuer, "sub": grant.account, "aud": self._client.client_id, "iat": now,
                "exp": now + 300, "nonce": grant.nonce,
            }  # fmt: skip
            given["id_token"] = jwt.encode({"alg": "ES256", "kid": self._key.kid}, claims, self._key)
        return given

    async def _authenticated(self, request: Request) -> dict[str, str]:
        """The form of a client that proved who it is (client_secret_basic). Raises BadRequest."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            name = secret = ""
        fits = secrets.compare_digest(urllib.parse.unquote_plus(secret).encode(), self._client.client_secret.encode())
        if scheme.lower() != "basic" or urllib.parse.unquote_plus(name) != self._client.client_id or not fits:
            raise BadRequest("invalid_client")
        return await read_form(request)

    def _registered(self, uri: str) -> bool:
        """Whether that very URI is registered; on a loopback address the port does not count (RFC 8252)."""
        return uri in self._client.redirect_uris or any(
            without_port(uri) == without_port(known) is not None for known in self._client.redirect_uris
        )

    def _back(self, redirect_uri: str, state: str | None, **members: str) -> Response:
        answer = {**members, **({} if state is None else {"state": state}), "iss": self._issuer}
        glue = "&" if "?" in redirect_uri else "?"
        return RedirectResponse(f"{redirect_uri}{glue}{urllib.parse.urlencode(answer)}", 303, NO_STORE)
