"""Looking at a partner's things as one of its members would: what a request says that is such a look.

The header narrows: whoever sends it is answered as the simulated member, and may read only. Whether the simulation
stands is known to the vault alone (`vault_api/simulation/`); every other service refuses a request that has it.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from identity.problem import Problem

HEADER: Final = "TradePulse-Simulation"
"""Names the simulation that a request belongs to."""


def reads_only() -> Problem:
    """403: what was asked for is none of the readings that a simulation is for."""
    return Problem(
        403,
        "simulation-reads-only",
        "A simulation only looks",
        "Nothing was changed and nothing was given out. End the simulation to go on as yourself.",
        reason="simulation_reads_only",
    )


class NoSimulation:
    """Refuses every request of a simulation (pure ASGI): for services that have nothing to show to one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and HEADER in Headers(scope=scope):
            await reads_only().response()(scope, receive, send)
            return
        await self._app(scope, receive, send)
