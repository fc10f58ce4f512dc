"""Sends one request, repeats it where that changes nothing, and turns problems into exceptions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import orjson

from identity.trust import authorities
from vault_client.bearer import Bearer
from vault_client.errors import StepUpRequired, Unavailable, Unreachable, error_of
from vault_client.person import StepsUp

_MAX_BYTES = 8_388_608


class Transport:
    """HTTP towards one vault.

    attempts: how often a request that may be repeated is sent at most
    pause:    called with the seconds to wait between two of them
    """

    def __init__(
        self,
        url: str,
        bearer: Bearer,
        *,
        timeout: float = 30.0,
        attempts: int = 4,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bearer = bearer
        self._attempts = attempts
        self._pause = pause
        # No proxy and no .netrc: neither may see a token or choose another one.
        self._http = httpx.Client(
            base_url=url, verify=authorities(), timeout=timeout, trust_env=False, follow_redirects=False
        )

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
        repeatable: bool = False,
    ) -> httpx.Response:
        """The answer to a request that succeeded. Raises VaultError, Unreachable, BearerUnavailable."""
        left = self._attempts if repeatable else 1
        wait = 0.2
        climbed = False
        while True:
            left -= 1
            try:
                return self._once(method, path, body, headers, query)
            except StepUpRequired as demand:
                # What was refused so had no effect, so any request may be sent again; but once, or a vault that
                # never has enough would ask a person for their key for ever.
                if climbed or not self._stepped_up(demand):
                    raise
                climbed = True
                left += 1
                continue
            except Unreachable:
                if left < 1:
                    raise
            except Unavailable as error:
                # 500 is an incident there, which repeating does not heal.
                if left < 1 or error.status == 500:
                    raise
                wait = max(wait, min(float(error.retry_after or 0), 10.0))
            self._pause(wait * (0.5 + random.random()))  # noqa: S311 - spreads clients, decides nothing
            wait *= 2

    def _stepped_up(self, demand: StepUpRequired) -> bool:
        return isinstance(self._bearer, StepsUp) and self._bearer.step_up(demand.acr_values, demand.max_age)

    def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str | int] | None,
    ) -> httpx.Response:
        sent = {"Accept": "application/json", **(headers or {}), "Authorization": f"Bearer {self._bearer().text()}"}
        content = None if body is None else orjson.dumps(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            with self._http.stream(method, path, content=content, headers=sent, params=query) as answer:
                received = bytearray()
                for part in answer.iter_bytes():
                    received += part
                    if len(received) > _MAX_BYTES:
                        raise Unreachable(f"{self._where} sent more than {_MAX_BYTES} bytes")
        except httpx.HTTPError as error:
            # Not the error's own text, which may quote headers; and no chain to an exception that holds the request.
            raise Unreachable(f"{self._where} does not answer ({type(error).__name__})") from None
        complete = httpx.Response(answer.status_code, headers=_plain(answer.headers), content=bytes(received))
        if complete.is_success:
            return complete
        try:
            document = orjson.loads(complete.content)
        except orjson.JSONDecodeError:
            document = None
        raise error_of(complete.status_code, document, complete.headers.get("retry-after"))

    @property
    def _where(self) -> str:
        return f"{self._http.base_url.scheme}://{self._http.base_url.netloc.decode('ascii', 'replace')}"


def _plain(headers: httpx.Headers) -> dict[str, str]:
    # What was received is decoded already.
    return {name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")}
