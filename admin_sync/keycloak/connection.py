"""The one place where admin-sync speaks to Keycloak's admin API.

Every error becomes one of `problems` by its cause, and every request is counted, because the number
of requests is a promise we make. Reads are retried here while Keycloak is away. A write is retried
here only when it was turned away unread (429): of any other failure nobody knows whether it took
effect, so its caller has to look first.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import orjson

from admin_sync.errors import Misconfigured
from admin_sync.keycloak.choice import PARALLELISM
from admin_sync.keycloak.http import Answer, NoAnswer, Pool
from admin_sync.keycloak.problems import KeycloakProblem, NotAllowed, NotReachable, Refused, Throttled
from admin_sync.keycloak.token import ServiceAccount, Token
from admin_sync.model import Json

__all__ = [
    "PAGE",
    "Connection",
    "KeycloakProblem",
    "NotAllowed",
    "NotReachable",
    "Refused",
    "ServiceAccount",
    "Throttled",
    "segment",
]

PAGE: Final = 100
"""Objects per page. Keycloak reads 100 users cold in a fifth of the time of one large page."""

BUDGET: Final = 30.0
"""Seconds for which a request is tried again, pauses included."""

_FIRST_PAUSE: Final = 0.3
_LONGEST_PAUSE: Final = 6.0

Result = TypeVar("Result")


class Connection:
    """Admin API calls with paths relative to `/admin/realms`, JSON in and out. Thread-safe."""

    def __init__(
        self, account: ServiceAccount, *, timeout: float = 120, parallel: int = PARALLELISM, budget: float = BUDGET
    ) -> None:
        try:
            self._pool = Pool(account.url, timeout)
        except ValueError as problem:
            raise Misconfigured(f"ADMIN_SYNC_KEYCLOAK_URL: {problem}") from None
        self._token = Token(account, self._pool)
        self.url = account.url
        """Keycloak's address."""
        self.budget = budget
        """Seconds for which a request is tried again; whoever has something more urgent to do takes it down."""
        self._count_lock = threading.Lock()
        self.parallel = parallel
        """How many requests its users should have under way at once."""
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
        with ThreadPoolExecutor(self.parallel) as pool:
            return dict(zip(wanted, pool.map(lambda path: list(self.pages(path, **query)), wanted), strict=True))

    def post(self, path: str, body: Json = None) -> str | None:
        """Create something; the server's id from the Location header where it gives one."""
        location = self._write("POST", path, body).headers.get("location")
        return location.rstrip("/").rsplit("/", 1)[-1] if location else None

    def ask(self, path: str, body: Json = None) -> Json:
        """Change something by a POST that answers with JSON (partialImport). Never sent twice."""
        return _json(self._write("POST", path, body))

    def put(self, path: str, body: Json = None) -> None:
        """Replace something."""
        self._write("PUT", path, body)

    def delete(self, path: str, body: Json = None) -> None:
        """Delete something. Already gone (404) is not an error."""
        try:
            self._write("DELETE", path, body)
        except Refused as problem:
            if problem.status != 404:
                raise

    def bearer(self) -> str:
        """Our own token, for a library that speaks to the same server. Raises NotReachable and NotAllowed."""
        return self._token.value()

    def time(self) -> float:
        """The time in seconds by Keycloak's clock, the only one that all its clients share."""
        return self._token.time()

    def _read(self, method: str, path: str, query: Mapping[str, Any], body: Json) -> Answer | None:
        try:
            return self._patiently(NotReachable, lambda: self._send(method, path, query, body))
        except Refused as problem:
            if problem.status != 404:
                raise
            return None

    def _write(self, method: str, path: str, body: Json) -> Answer:
        return self._patiently(Throttled, lambda: self._send(method, path, {}, body))

    def _patiently(self, passing: type[NotReachable], attempt: Callable[[], Result]) -> Result:
        """What an attempt gives, tried again while it fails for a passing reason and the budget lasts."""
        end = time.monotonic() + self.budget
        pause = _FIRST_PAUSE
        while True:
            try:
                return attempt()
            except passing as problem:
                # Those that were turned away together are not to come back together.
                wait = max(problem.retry_after or 0.0, pause * random.uniform(0.5, 1.5))  # noqa: S311
                if time.monotonic() + wait > end:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _send(self, method: str, path: str, query: Mapping[str, Any], body: Json) -> Answer:
        target = f"/admin/realms{path}"
        if query:
            given = ((name, str(value).lower() if isinstance(value, bool) else value) for name, value in query.items())
            target = f"{target}?{urlencode(list(given))}"
        payload = None if body is None and method in ("GET", "DELETE") else orjson.dumps(body)
        token = self._token.value()
        answer = self._once(method, target, payload, token)
        if answer.status == 401:
            # It was revoked, or Keycloak was started anew. What was refused had no effect.
            answer = self._once(method, target, payload, self._token.value(refused=token))
        return _checked(method, target.partition("?")[0], answer)

    def _once(self, method: str, target: str, payload: bytes | None, token: str) -> Answer:
        with self._count_lock:
            self.requests += 1
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            return self._pool.send(method, target, payload, headers)
        except NoAnswer as problem:
            shown = target.partition("?")[0]
            raise NotReachable(f"Keycloak did not answer {method} {shown} ({problem}); check that it runs") from problem


def segment(name: str) -> str:
    """A name as one path segment, every reserved character escaped (RFC 3986)."""
    return quote(name, safe="")


def _json(answer: Answer | None) -> Json:
    if answer is None or not answer.content:
        return None
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        raise NotReachable(
            "what answers at ADMIN_SYNC_KEYCLOAK_URL is not Keycloak's admin API (no JSON came); check for a proxy"
        ) from None


def _checked(method: str, target: str, answer: Answer) -> Answer:
    status = answer.status
    if status < 300:
        return answer
    text = answer.content.decode("utf-8", "replace")
    reason = text[:300].replace("\n", " ")
    if status < 400:
        raise NotReachable(f"{method} {target} is redirected ({status}); check ADMIN_SYNC_KEYCLOAK_URL")
    if status in (401, 403):
        right = f"Keycloak does not allow {method} {target} ({status}); grant the service account that right"
        raise NotAllowed(right, text)
    if status == 429:
        raise Throttled(f"too many requests: {method} {target} was turned away (429)", _retry_after(answer), status)
    if status >= 500:
        raise NotReachable(f"Keycloak failed on {method} {target} ({status}): {reason}", _retry_after(answer), status)
    raise Refused(f"Keycloak refused {method} {target} ({status}): {reason}", status, text)


def _retry_after(answer: Answer) -> float | None:
    """How many seconds to wait, from a header of seconds or of a date (RFC 9110, section 10.2.3)."""
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        then = parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
