"""Login flows, and which one a realm uses where.

An update never leaves a half-built flow in use. Where only the configuration of steps differs, each
step's configuration is replaced in place, one request each. Where steps or requirements differ:

    old flow ─ rename to "<alias> replaced" ─▶ still in use, as it was
    new flow ─ build under its own alias    ─▶ complete before anything points at it
    bindings of the realm and of identity providers ─ move to the new flow
    old flow ─ delete

A login that stands on a page of the old flow at that moment starts again on the new one, since
Keycloak looks its flow up by binding for every request. An apply that dies on the way leaves the
realm with one complete flow in use, and the next apply clears up and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer
from admin_sync.keycloak.base import flow_tree, representation
from admin_sync.keycloak.base.flow_tree import BASIC
from admin_sync.keycloak.connection import Refused, segment
from admin_sync.model import Json, Ref, Resource

FLOW: Final = "flow"
BINDING: Final = "flow_binding"

BINDINGS: Final = {
    "browser": "browserFlow",
    "registration": "registrationFlow",
    "direct_grant": "directGrantFlow",
    "reset_credentials": "resetCredentialsFlow",
    "client_authentication": "clientAuthenticationFlow",
    "docker_authentication": "dockerAuthenticationFlow",
    "first_broker_login": "firstBrokerLoginFlow",
}
"""Names of bindings, and the fields of the realm that hold them."""

_PROVIDER_BINDINGS: Final = ("firstBrokerLoginFlowAlias", "postBrokerLoginFlowAlias")
_REPLACED: Final = "replaced"
_PRIORITY_STEP: Final = 10


@dataclass(frozen=True, slots=True)
class _Bound:
    """What points at a flow: fields of the realm, and identity providers with the fields of theirs."""

    fields: list[str]
    providers: list[tuple[Mapping[str, Json], list[str]]]


class FlowAdapter:
    """Reads and writes the flows that are not Keycloak's own, each with all its steps as one resource."""

    kind = FLOW

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every top-level flow that is not built in."""
        if reader.representation is None:
            return
        flows = {flow["alias"]: flow for flow in reader.export.get("authenticationFlows", [])}
        configs = {config["alias"]: config["config"] for config in reader.export.get("authenticatorConfig", [])}
        for alias, flow in flows.items():
            if flow["topLevel"] and not flow["builtIn"]:
                attrs = {
                    "description": flow.get("description") or "",
                    "executions": flow_tree.from_export(flow, flows, configs),
                }
                yield Resource(Ref(FLOW, alias), attrs, server_id=flow.get("id"))

    def write(self, writer: Writer, change: Change) -> None:
        """Build the flow, or bring it to the wanted form as the module says."""
        if change.action is Action.DELETE or change.after is None:
            raise ValueError("a flow is not deleted by a plan: a client may be bound to it")
        alias, wanted = change.ref.name, change.after.attrs
        self._clear_up(writer, alias)
        current = _top_level(writer, alias)
        if current is None:
            _build(writer, alias, wanted)
            return
        found = _steps(writer, alias)
        if [step[:3] for step in found] != flow_tree.shape(wanted["executions"]):
            self._replace(writer, current, wanted)
            return
        if (current.get("description") or "") != wanted["description"]:
            _rename(writer, current, alias, wanted["description"])
        for (_, _, _, execution), (_, step) in zip(found, flow_tree.walk(wanted["executions"]), strict=True):
            _configure(writer, execution, step)

    def _clear_up(self, writer: Writer, alias: str) -> None:
        """What an interrupted replacement left: the flow that is in use stays, under its own alias."""
        replaced = f"{alias} {_REPLACED}"
        old = _top_level(writer, replaced)
        if old is None:
            return
        if _bound(writer, replaced):
            partial = _top_level(writer, alias)
            if partial is not None:
                _delete(writer, partial)
            _remove_orphans(writer)
            _rename_tree(writer, old, alias, drop=f" {_REPLACED}")
        else:
            _delete(writer, old)

    def _replace(self, writer: Writer, current: Mapping[str, Json], wanted: Mapping[str, Json]) -> None:
        alias = current["alias"]
        replaced = f"{alias} {_REPLACED}"
        # Asked before the flow gets another name, for who only records these calls cannot answer after it.
        bound = _bindings(writer, alias)
        _rename_tree(writer, current, replaced, add=f" {_REPLACED}")
        _build(writer, alias, wanted)
        _move_bindings(writer, bound, alias)
        _delete(writer, current)


class FlowBindingAdapter:
    """Reads and writes which flow a realm uses where."""

    kind = BINDING

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every binding of the realm."""
        if reader.representation is None:
            return
        for name, field in BINDINGS.items():
            yield Resource(Ref(BINDING, name), {"flow": reader.representation.get(field)})

    def write(self, writer: Writer, change: Change) -> None:
        """Bind the flow."""
        if change.after is None:
            raise ValueError("a flow binding is not deleted")
        representation.change(writer, {BINDINGS[change.ref.name]: change.after.attrs["flow"]})


def _flows(writer: Writer) -> str:
    return f"{writer.path}/authentication/flows"


def _top_level(writer: Writer, alias: str) -> Mapping[str, Json] | None:
    flows: list[Mapping[str, Json]] = writer.connection.get(_flows(writer)) or []
    return next((flow for flow in flows if flow["alias"] == alias), None)


def _steps(writer: Writer, alias: str) -> list[tuple[int, str, str, Mapping[str, Json]]]:
    """The steps as `flow_tree.shape` has them, each with Keycloak's own record of it."""
    found = writer.connection.get(f"{_flows(writer)}/{segment(alias)}/executions") or []
    return [
        (
            step["level"],
            step["displayName"] if step.get("authenticationFlow") else step["providerId"],
            step["requirement"],
            step,
        )
        for step in found
    ]


def _build(writer: Writer, alias: str, wanted: Mapping[str, Json]) -> None:
    identity = writer.connection.post(_flows(writer), _flow(alias, wanted["description"], top_level=True))
    _add_steps(writer, str(identity), alias, wanted["executions"])


def _add_steps(writer: Writer, parent: str, parent_alias: str, steps: list[Json]) -> None:
    executions = f"{writer.path}/authentication/executions"
    for number, step in enumerate(steps, start=1):
        body = {"parentFlow": parent, "requirement": step["requirement"], "priority": number * _PRIORITY_STEP}
        if "flow" in step:
            identity = _nested(writer, step)
            writer.connection.post(executions, {**body, "authenticatorFlow": True, "flowId": identity})
            _add_steps(writer, str(identity), step["flow"], step["executions"])
            continue
        execution = writer.connection.post(
            executions, {**body, "authenticatorFlow": False, "authenticator": step["use"]}
        )
        if step["config"]:
            config = {"alias": _config_alias(parent_alias, step["use"], str(execution)), "config": step["config"]}
            writer.connection.post(f"{executions}/{execution}/config", config)


def _nested(writer: Writer, step: flow_tree.Step) -> str | None:
    body = _flow(step["flow"], step["description"], top_level=False)
    try:
        return writer.connection.post(_flows(writer), body)
    except Refused as problem:
        if problem.status != 409:
            raise
        _remove_orphans(writer)
        return writer.connection.post(_flows(writer), body)


def _remove_orphans(writer: Writer) -> None:
    """Delete nested flows that hang nowhere: what is left when a build dies between a flow and its place."""
    flows = writer.connection.query(f"{writer.path}/partial-export")["authenticationFlows"]
    used = {step["flowAlias"] for flow in flows for step in flow["authenticationExecutions"] if step.get("flowAlias")}
    for flow in flows:
        if not flow["topLevel"] and not flow["builtIn"] and flow["alias"] not in used:
            _delete(writer, flow)


def _configure(writer: Writer, execution: Mapping[str, Json], step: flow_tree.Step) -> None:
    """Bring one step's configuration (or a nested flow's description) to the wanted one."""
    base = f"{writer.path}/authentication"
    if "flow" in step:
        if (execution.get("description") or "") != step["description"]:
            nested = {"alias": step["flow"], "id": execution["flowId"]}
            _rename(writer, nested, step["flow"], step["description"], top_level=False)
        return
    identity = execution.get("authenticationConfig")
    if identity is None:
        if step["config"]:
            alias = _config_alias("", step["use"], execution["id"])
            writer.connection.post(
                f"{base}/executions/{execution['id']}/config", {"alias": alias, "config": step["config"]}
            )
        return
    path = f"{base}/config/{identity}"
    current = writer.connection.get(path)
    if not step["config"]:
        writer.connection.delete(path)
    elif current["config"] != step["config"]:
        writer.connection.put(path, {**current, "config": step["config"]})


def _config_alias(parent_alias: str, provider: str, execution: str) -> str:
    # Aliases of configurations are unique in a realm; two versions of one flow exist side by side for a moment.
    return f"{parent_alias} {provider} {execution.partition('-')[0]}".strip()


def _flow(alias: str, description: str, *, top_level: bool) -> dict[str, Json]:
    return {
        "alias": alias,
        "description": description,
        "providerId": BASIC,
        "topLevel": top_level,
        "builtIn": False,
    }


def _rename(writer: Writer, flow: Mapping[str, Json], alias: str, description: str, *, top_level: bool = True) -> None:
    body = {**_flow(alias, description, top_level=top_level), "id": flow["id"]}
    writer.connection.put(f"{_flows(writer)}/{flow['id']}", body)


def _rename_tree(writer: Writer, flow: Mapping[str, Json], alias: str, *, add: str = "", drop: str = "") -> None:
    """Give a flow another alias and its nested flows a suffix more or less. The top comes last: it marks completion."""
    for _, name, _, execution in _steps(writer, flow["alias"]):
        if not execution.get("authenticationFlow"):
            continue
        wanted = name.removesuffix(drop) if drop else name.removesuffix(add) + add
        if wanted != name:
            nested = {"alias": name, "id": execution["flowId"]}
            _rename(writer, nested, wanted, execution.get("description") or "", top_level=False)
    _rename(writer, flow, alias, flow.get("description") or "")


def _delete(writer: Writer, flow: Mapping[str, Json]) -> None:
    writer.connection.delete(f"{_flows(writer)}/{flow['id']}")


def _bound(writer: Writer, alias: str) -> bool:
    realm = writer.connection.get(writer.path)
    if any(realm.get(field) == alias for field in BINDINGS.values()):
        return True
    providers = writer.connection.get(f"{writer.path}/identity-provider/instances") or []
    return any(provider.get(field) == alias for provider in providers for field in _PROVIDER_BINDINGS)


def _bindings(writer: Writer, alias: str) -> _Bound:
    """What points at a flow."""
    realm = writer.connection.get(writer.path)
    fields = [field for field in BINDINGS.values() if realm.get(field) == alias]
    providers = []
    for provider in writer.connection.get(f"{writer.path}/identity-provider/instances") or []:
        held = [field for field in _PROVIDER_BINDINGS if provider.get(field) == alias]
        if held:
            providers.append((provider, held))
    return _Bound(fields, providers)


def _move_bindings(writer: Writer, bound: _Bound, alias: str) -> None:
    if bound.fields:
        representation.change(writer, dict.fromkeys(bound.fields, alias))
    for provider, fields in bound.providers:
        # The masked secret in what was read tells Keycloak to keep the one that it has.
        path = f"{writer.path}/identity-provider/instances/{segment(provider['alias'])}"
        writer.connection.put(path, {**provider, **dict.fromkeys(fields, alias)})
