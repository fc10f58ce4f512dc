"""A service that has nothing to show to a simulation refuses every request of one, whatever else it holds."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from identity.simulation import HEADER, NoSimulation


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("name", [HEADER, HEADER.lower(), HEADER.upper()])
async def test_a_request_of_a_simulation_is_refused_and_any_other_is_not(method: str, name: str) -> None:
    done: list[str] = []

    async def endpoint(request: Request) -> Response:
        done.append(request.method)
        return PlainTextResponse("done")

    app = NoSimulation(Starlette(routes=[Route("/", endpoint, methods=["GET", "POST", "DELETE"])]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        refused = await client.request(method, "/", headers={name: ""})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:tradepulse:problem:simulation-reads-only")
        assert done == []
        assert (await client.request(method, "/")).status_code == 200
