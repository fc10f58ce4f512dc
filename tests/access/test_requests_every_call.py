"""Every call of the API with generated input: none answers with a 5xx, and all want to know who asks."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from access_world import World, wish
from hypothesis import HealthCheck, Phase, given, settings

EXAMPLES = 6 * int(os.environ.get("TRADEPULSE_SOAK", "1"))
"""Generated requests for each call; more of them find more."""

HOSTILE: list[Any] = ["\ud800", "\x00", "\u202e", "x" * 70_000, {"a": 1}, [], 1e400, True, None, "REQ-1", -1]


@pytest.fixture
async def described(access_world: World) -> dict[str, Any]:
    return dict((await access_world.http.get("/access/v1/openapi.json")).json())


async def test_no_call_is_answered_without_a_token_but_health(access_world: World, described: dict[str, Any]) -> None:
    for path, operations in described["paths"].items():
        for method in operations:
            reply = await access_world.http.request(method, path.replace("{name}", "REQ-000002"), json={})
            open_to_all = "/health/" in path or path.endswith("/metrics")
            assert (reply.status_code == 401) is not open_to_all, (method, path, reply.status_code)


def cases_of(operation: Any) -> list[dict[str, Any]]:
    """Requests that fit the description of an operation, or nearly."""
    cases: list[dict[str, Any]] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def collect(case: schemathesis.Case) -> None:
        told = case.as_transport_kwargs(base_url="http://access")
        cases.append({**told, "path": dict(case.path_parameters or {})})

    collect()
    return cases


async def test_no_generated_input_makes_a_5xx(access_world: World, described: dict[str, Any]) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    sent = 0
    for result in schemathesis.openapi.from_dict(described).get_all_operations():
        operation = result.ok()
        cases = cases_of(operation)
        for number, case in enumerate(cases):
            path = operation.path
            for name, value in case["path"].items():
                given_name = asked["id"] if number % 2 else quote(str(value), safe="") or "x"
                path = path.replace(f"{{{name}}}", given_name)
            data = case.get("data")
            reply = await world.http.request(
                operation.method, path, headers=world.auth("security.one"), params=case.get("params"),
                json=case.get("json"), content=data if isinstance(data, bytes) else None,
            )  # fmt: skip
            sent += 1
            # A policy engine on a busy machine may be late; a database that chokes on input is no excuse.
            late = reply.status_code == 503 and "policy-unavailable" in reply.text
            assert reply.status_code < 500 or late, (operation.method, path, reply.text)
    assert sent > 100


async def test_hostile_values_are_one_clear_error(access_world: World) -> None:
    world = access_world
    asked = await world.ask("mlops.one")
    bodies = {
        "/access/v1/requests": wish(),
        "/access/v1/requests/preview": wish(),
        f"/access/v1/requests/{asked['id']}/approvals": {
            "hash": asked["hash"],
            "comment": "fine by me",
            "as": "manager",
        },
        f"/access/v1/requests/{asked['id']}/denials": {"comment": "Not for this release."},
        f"/access/v1/requests/{asked['id']}/cancellation": {"comment": "Not needed."},
    }
    for path, body in bodies.items():
        for field in [*body, "unknown"]:
            for value in HOSTILE:
                if (field, value) in (("comment", None), ("as", None), ("comment", "\u202e"), ("comment", "REQ-1")):
                    continue
                text = json.dumps({**body, field: value})
                reply = await world.http.post(
                    path,
                    content=text.encode(),
                    headers={**world.auth("security.one"), "Content-Type": "application/json"},
                )
                # A preview says what is wrong with a request as its answer.
                refused = (200, 413, 422) if path.endswith("/preview") else (403, 404, 409, 413, 422)
                assert reply.status_code in refused, (path, field, str(value)[:20], reply.text[:300])
                assert reply.is_success or reply.headers["content-type"] == "application/problem+json"
                assert len(str(value)) < 9 or str(value)[:500] not in reply.text, "what was sent is not repeated"
    assert (await world.read("mlops.one", asked)).json()["state"] == "open"
