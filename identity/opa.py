"""Asking the policy engine: one question, one `Decision`, and no answer is never yes.

A decision is remembered for the same input and the same bundle revision, until the decision's own
`valid_until` and at most `cache_seconds`; the first answer of another revision empties the memory.
It is used only while the policy engine is known to serve that revision still: some answer of it, to
whatever question, is at most `confirm_seconds` old. So a change of policy, a freeze included, is felt
within `confirm_seconds` by everybody, and at once by a process that meanwhile asks anything else. A
result of an older bundle than one already seen is refused: that is a replayed bundle, or a sidecar
that lost its newer one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import orjson

from identity.decision import Decision, PolicyUnavailable, StepUp, parse_answer
from identity.outbound import OutboundError, exchange
from identity.principal import Principal
from identity.trace import outgoing_headers

__all__ = ["Decision", "OpaClient", "PolicyUnavailable", "StepUp", "decision_input"]

_PATH = "/v1/data/tradepulse/authz/decision"
_MAX_BYTES = 65_536


class OpaClient:
    """The sidecar's client.

    `base_url` is OPA's own, e.g. `http://127.0.0.1:8181`; `cache_seconds`, `confirm_seconds` and
    `timeout` are in seconds; `clock` returns unix seconds. One instance serves one event loop.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        *,
        cache_seconds: float = 10.0,
        confirm_seconds: float = 2.0,
        timeout: float = 1.0,
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._url = base_url.rstrip("/") + _PATH
        self._cache_seconds = cache_seconds
        self._confirm_seconds = confirm_seconds
        self._timeout = timeout
        self._cache_size = cache_size
        self._clock = clock
        # Canonical input -> (stored at, decision). All entries are of `revision`.
        self._cache: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()
        self.revision: str | None = None
        """The bundle revision of the latest answer; for health and metrics."""
        self._serial = -1
        self._confirmed_at = float("-inf")

    async def decide(
        self,
        principal: Principal,
        permission: str,
        *,
        environment: str,
        partner: str | None = None,
        resource: Mapping[str, str] | None = None,
    ) -> Decision:
        """Whether `principal` may do `permission` in `environment`, on `partner`'s things if given.

        Raises `PolicyUnavailable` when there is no answer that can be trusted.
        """
        question = decision_input(principal, permission, environment=environment, partner=partner, resource=resource)
        try:
            # Names are ASCII and there are no fractions, so sorted is canonical: one text for each question.
            key = orjson.dumps(question, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
        except orjson.JSONEncodeError:
            raise PolicyUnavailable("the question to the policy engine cannot be written as JSON") from None
        remembered = self._remembered(key)
        if remembered is not None:
            return remembered
        # An answer says what held when it was asked for, not when it came.
        asked_at = self._clock()
        decision = await self._ask(b'{"input":' + key + b"}")
        if decision.revision == self.revision:
            self._confirmed_at = asked_at
        self._remember(key, decision)
        return decision

    async def _ask(self, body: bytes) -> Decision:
        try:
            # Asking twice changes nothing, so a connection that broke is tried once more.
            reply = await exchange(
                self._http,
                "POST",
                self._url,
                content=body,
                headers={"Content-Type": "application/json", **outgoing_headers()},
                max_bytes=_MAX_BYTES,
                timeout=self._timeout,
                attempts=2,
            )
        except OutboundError as error:
            raise PolicyUnavailable(f"the policy engine gave no answer: {error}") from None
        if reply.status != 200:
            raise PolicyUnavailable(f"the policy engine answered with status {reply.status}")
        decision = parse_answer(reply.body)
        if decision.serial < self._serial:
            raise PolicyUnavailable(
                f"the policy engine serves bundle {decision.serial}, older than {self._serial} seen before"
            )
        if decision.revision != self.revision:
            self._cache.clear()
            self.revision = decision.revision
            self._confirmed_at = float("-inf")
        self._serial = decision.serial
        return decision

    def _remembered(self, key: bytes) -> Decision | None:
        entry = self._cache.get(key)
        if entry is None:
            return None
        stored_at, decision = entry
        now = self._clock()
        # A clock that was set back must not lengthen an entry's life, hence the lower bounds.
        if not stored_at <= now < min(decision.valid_until, stored_at + self._cache_seconds):
            del self._cache[key]
            return None
        # Unconfirmed, it is asked again; the answer confirms or empties all others.
        return decision if self._confirmed_at <= now < self._confirmed_at + self._confirm_seconds else None

    def _remember(self, key: bytes, decision: Decision) -> None:
        # A slow answer of the revision before may arrive after one of the next.
        if decision.revision != self.revision or self._cache_seconds <= 0:
            return
        self._cache[key] = (self._clock(), decision)
        self._cache.move_to_end(key)
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


def decision_input(
    principal: Principal,
    permission: str,
    *,
    environment: str,
    partner: str | None,
    resource: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The `input` document of a decision; the shape that `policy/` is written against."""
    return {
        "environment": environment,
        "permission": permission,
        "partner": partner,
        "resource": dict(resource or {}),
        "subject": {
            "kind": principal.kind,
            "id": principal.subject,
            # As it is: the policy folds case itself, and only in ASCII. Folding here would turn the Kelvin sign
            # into a plain k, and so one address into another.
            "email": principal.email,
            "environment": principal.environment,
            "client": principal.client,
            "groups": sorted(principal.groups),
            "assurance_level": principal.assurance_level.value,
            "acr": principal.acr,
            "amr": list(principal.amr),
            "auth_time": principal.auth_time,
            "organizations": {
                alias: sorted(membership.roles) for alias, membership in sorted(principal.organizations.items())
            },
            "lent": {
                alias: dict(sorted(membership.lent.items()))
                for alias, membership in sorted(principal.organizations.items())
                if membership.lent
            },
        },
    }
