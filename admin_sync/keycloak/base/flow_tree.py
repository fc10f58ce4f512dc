"""The normal form of a login flow: a tree of steps, free of the server's ids, aliases and priorities.

A step is `{"use": provider, "requirement": …, "config": {…}}`, or
`{"flow": alias, "description": …, "requirement": …, "executions": [step, …]}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from admin_sync.model import Json

BASIC = "basic-flow"
Step = Mapping[str, Json]


def from_export(flow: Mapping[str, Json], flows: Mapping[str, Json], configs: Mapping[str, Json]) -> list[Json]:
    """The steps of an exported flow; `flows` and `configs` (of authenticators) are the realm's, by alias."""
    steps: list[Json] = []
    for execution in sorted(flow["authenticationExecutions"], key=lambda execution: int(execution["priority"])):
        requirement = execution["requirement"]
        if not execution.get("authenticatorFlow"):
            config = configs.get(execution.get("authenticatorConfig"), {})
            steps.append({"use": execution["authenticator"], "requirement": requirement, "config": dict(config)})
            continue
        nested = flows[execution["flowAlias"]]
        steps.append(
            {
                "flow": nested["alias"],
                "description": nested.get("description") or "",
                "requirement": requirement,
                "executions": from_export(nested, flows, configs),
            }
        )
    return steps


def walk(steps: list[Json], level: int = 0) -> Iterator[tuple[int, Step]]:
    """Every step with its depth, a flow before what it holds: the order of Keycloak's flat list."""
    for step in steps:
        yield level, step
        if "flow" in step:
            yield from walk(step["executions"], level + 1)


def shape(steps: list[Json]) -> list[tuple[int, str, str]]:
    """What decides who gets in: depth, step and requirement. Two flows of one shape differ in configuration only."""
    return [(level, step.get("use") or step["flow"], step["requirement"]) for level, step in walk(steps)]


def aliases(steps: list[Json]) -> Iterator[str]:
    """The aliases of all nested flows."""
    for _, step in walk(steps):
        if "flow" in step:
            yield step["flow"]
