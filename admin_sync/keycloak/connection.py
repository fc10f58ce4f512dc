"""The one place where admin-sync speaks HTTP to Keycloak's admin API.

python-keycloak supplies the session and the token, which it renews at nine tenths of its lifetime
and once more on a 401. Every other error becomes one of four here, by its cause and not by its
verb, and every request is counted, because the number of requests is a promise we make.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import quote

import orjson
import requests
import stamina
from keycloak import KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakConnectionError, KeycloakError

from admin_sync.model import Json

PAGE = 100
"""Objects per page. Keycloak reads 100 users cold in a fifth of the time of one large page."""


class KeycloakProblem(Exception):
    """Base of what can go wrong between us and Keycloak; the text says the next step."""


class NotReachable(KeycloakProblem):
    """Keycloak did not answer, or answered 5xx; the request may or may not have taken effect."""


class NotAllowed(KeycloakProblem):
    """Keycloak refused the credentials or the permission (401, 403)."""


class Refused(KeycloakProblem):
    """Keycloak understood and said no (400, 404, 409); `status` and `body` say why."""

    def __init__(self, message: str, status: int, body: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class ServiceAccount(Protocol):
    """What a connection needs to know of the account it acts as."""

    @property
    def url(self) -> str: ...
    @property
    def realm(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    def secret(self) -> str: ...


class Connection:
    """Admin API calls with paths relative to `/admin/realms`, JSON in and out. Thread-safe."""

    def __init__(self, account: ServiceAccount, *, timeout: int = 120, parallel: int = 8) -> None:
        self._session = KeycloakOpenIDConnection(
            server_url=account.url,
            realm_name=account.realm,
            user_realm_name=account.realm,
            client_id=account.client_id,
            client_secret_key=account.secret(),
            timeout=timeout,
            # A retry of a POST that timed out could create twice: retries are ours, for reads.
            max_retries=0,
            pool_maxsize=parallel,
        )
        self._parallel = parallel
        self._token_lock = threading.Lock()
        self._count_lock = threading.Lock()
        self.requests = 0
        """Requests sent so far, token requests not included."""

    def get(self, path: str, **query: str | int | bool) -> Json:
        """The JSON at `path`; None for 404. Retried for half a minute while Keycloak is away."""
        return _json(self._read("GET", path, query, None))

    def query(self, path: str, **query: str | int | bool) -> Json:
        """The JSON that a POST without side effects answers (partial-export); retried like `get`."""
        return _json(self._read("POST", path, query, {}))

    def pages(self, path: str, **query: str | int | bool) -> Iterator[Json]:
        """Every element of a list that Keycloak serves in pages of `first` and `max`, each once.

        What is created while we read moves others to the next page, where they come again.
        """
        first = 0
        seen: set[str] = set()
        while True:
            page = self.get(path, **{**query, "first": first, "max": PAGE}) or []
            for element in page:
                if element["id"] not in seen:
                    seen.add(element["id"])
                    yield element
            if len(page) < PAGE:
                return
            first += PAGE

    def together(self, paths: Iterable[str], **query: str | int | bool) -> dict[str, list[Json]]:
        """Paged lists read side by side, by path."""
        wanted = list(paths)
        if not wanted:
            return {}
        with ThreadPoolExecutor(self._parallel) as pool:
            return dict(zip(wanted, pool.map(lambda path: list(self.pages(path, **query)), wanted), strict=True))

    def post(self, path: str, body: Json = None) -> str | None:
        """Create something; the server's id from the Location header where it gives one."""
        location = self._send("POST", path, {}, body).headers.get("Location")
        return location.rstrip("/").rsplit("/", 1)[-1] if location else None

    def put(self, path: str, body: Json = None) -> None:
        """Replace something."""
        self._send("PUT", path, {}, body)

    def delete(self, path: str, body: Json = None) -> None:
        """Delete something. Already gone (404) is not an error."""
        try:
            self._send("DELETE", path, {}, body)
        except Refused as problem:
            if problem.status != 404:
                raise

    def _read(self, method: str, path: str, query: dict[str, Any], body: Json) -> requests.Response | None:
        for attempt in stamina.retry_context(on=NotReachable, attempts=6, timeout=30.0, wait_initial=0.3, wait_max=6.0):
            with attempt:
                try:
                    return self._send(method, path, query, body)
                except Refused as problem:
                    if problem.status != 404:
                        raise
                    return None
        raise AssertionError("stamina either returns or raises")  # pragma: no cover

    def _send(self, method: str, path: str, query: dict[str, Any], body: Json) -> requests.Response:
        with self._count_lock:
            self.requests += 1
        target = f"/admin/realms{path}"
        arguments = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
        try:
            with self._token_lock:
                # One thread renews an expiring token while the others wait for it.
                self._session._refresh_if_required()
            match method:
                case "GET":
                    response = self._session.raw_get(target, **arguments)
                case "POST":
                    response = self._session.raw_post(target, data=_encode(body), **arguments)
                case "PUT":
                    response = self._session.raw_put(target, data=_encode(body), **arguments)
                case "DELETE":
                    payload = None if body is None else _encode(body)
                    response = self._session.raw_delete(target, data=payload, **arguments)
                case _:
                    raise ValueError(method)
        except KeycloakConnectionError as problem:
            cause = type(problem.__cause__ or problem).__name__
            raise NotReachable(f"Keycloak did not answer {method} {target} ({cause}); check that it runs") from problem
        except KeycloakError as problem:
            raise _token_problem(problem) from problem
        except requests.RequestException as problem:
            raise NotReachable(f"Keycloak did not answer {method} {target}: {type(problem).__name__}") from problem
        return _checked(method, target, response)


def segment(name: str) -> str:
    """A name as one path segment, every reserved character escaped (RFC 3986)."""
    return quote(name, safe="")


def _json(response: requests.Response | None) -> Json:
    try:
        return None if response is None else response.json()
    except requests.JSONDecodeError:
        raise NotReachable(
            "what answers at ADMIN_SYNC_KEYCLOAK_URL is not Keycloak's admin API (no JSON came); check for a proxy"
        ) from None


def _encode(body: Json) -> bytes:
    return orjson.dumps(body)


def _token_problem(problem: KeycloakError) -> KeycloakProblem:
    status = getattr(problem, "response_code", None)
    if status in (400, 401, 403):
        return NotAllowed(
            "Keycloak did not accept admin-sync's own credentials; check ADMIN_SYNC_CLIENT_ID and its secret"
        )
    return NotReachable(f"Keycloak gave no token (status {status}); check ADMIN_SYNC_KEYCLOAK_URL and its health")


def _checked(method: str, target: str, response: requests.Response) -> requests.Response:
    status = response.status_code
    if status < 400:
        return response
    reason = response.text[:300].replace("\n", " ")
    if status in (401, 403):
        raise NotAllowed(f"Keycloak does not allow {method} {target} ({status}); grant the service account that right")
    if status >= 500:
        raise NotReachable(f"Keycloak failed on {method} {target} ({status}): {reason}")
    raise Refused(f"Keycloak refused {method} {target} ({status}): {reason}", status, response.text)
