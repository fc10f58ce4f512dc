"""The base realm as resources: `realm/base/*.yaml`, read strictly, in the form that the adapters read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from admin_sync.errors import Finding, InvalidInput
from admin_sync.keycloak.base import (
    builtin_client,
    client_policy,
    client_scope,
    events,
    flow,
    realm,
    required_action,
    user_profile,
)
from admin_sync.load import strict_yaml
from admin_sync.load.expand import expand
from admin_sync.load.positions import PathPart, Source
from admin_sync.model import Json, Ref, Resource

_DEFAULT_REQUIREMENT = "REQUIRED"
_REQUIREMENTS = frozenset({"REQUIRED", "ALTERNATIVE", "CONDITIONAL", "DISABLED"})
_ASSIGNMENTS = frozenset({"default", "optional", "none"})


def base_resources(directory: Path, realm_name: str, environment: str, variables: Mapping[str, str]) -> list[Resource]:
    """What every realm has, for the realm `realm_name` of `environment`.

    `variables` fill in `${NAME:-default}`; TRADEPULSE_ENVIRONMENT and REALM_NAME are always set. Raises
    InvalidInput with every finding of every file.
    """
    filled = {**variables, "TRADEPULSE_ENVIRONMENT": environment, "REALM_NAME": realm_name}
    resources: list[Resource] = []
    findings: list[Finding] = []
    for name, sections in _FILES.items():
        try:
            source = strict_yaml.read(directory / name)
            resources.extend(_from_file(source, sections, realm_name, filled))
        except InvalidInput as problem:
            findings.extend(problem.findings)
    if findings:
        raise InvalidInput(findings)
    return resources


class _Part:
    """One place of a file, which knows how to complain about itself."""

    def __init__(self, source: Source, path: tuple[PathPart, ...], value: Json) -> None:
        self.source = source
        self.path = path
        self.value = value

    def refuse(self, message: str) -> InvalidInput:
        """The error to raise for this place."""
        return InvalidInput([Finding.at(self.source.position(self.path), "base-realm", message)])

    def mapping(
        self, *, required: frozenset[str] = frozenset(), allowed: frozenset[str] | None = None
    ) -> dict[str, Json]:
        """The value as a mapping with these keys."""
        if not isinstance(self.value, dict):
            raise self.refuse("a mapping is needed here")
        for name in required - self.value.keys():
            raise self.refuse(f"`{name}` is missing")
        if allowed is not None:
            for name in self.value.keys() - allowed - required:
                known = ", ".join(sorted(allowed | required))
                raise self.child(name).refuse(f"`{name}` is unknown here; known are {known}")
        return self.value

    def child(self, name: PathPart) -> _Part:
        """The part under a key or an index."""
        return _Part(self.source, (*self.path, name), self.value[name])

    def children(self) -> Iterator[tuple[str, _Part]]:
        """All parts of a mapping."""
        for name in self.mapping():
            yield name, self.child(name)

    def items(self) -> Iterator[_Part]:
        """All parts of a list."""
        if not isinstance(self.value, list):
            raise self.refuse("a list is needed here")
        for number in range(len(self.value)):
            yield self.child(number)

    def one_of(self, choices: frozenset[str]) -> str:
        """The value as one of some words."""
        if self.value not in choices:
            raise self.refuse(f"one of {', '.join(sorted(choices))} is needed here")
        return str(self.value)

    def resource(self, ref: Ref, attrs: Mapping[str, Json]) -> Resource:
        """A resource that was declared here."""
        return Resource(ref, attrs, origin=self.source.position(self.path, key=True))


_Section = Callable[[_Part, str], Iterator[Resource]]


def _from_file(
    source: Source, sections: Mapping[str, _Section], realm_name: str, variables: Mapping[str, str]
) -> list[Resource]:
    data, findings = expand(source, variables)
    if findings:
        raise InvalidInput(findings)
    whole = _Part(source, (), data)
    whole.mapping(required=frozenset(sections), allowed=frozenset())
    return [resource for name, section in sections.items() for resource in section(whole.child(name), realm_name)]


def _realm(part: _Part, realm_name: str) -> Iterator[Resource]:
    yield part.resource(Ref(realm.KIND, realm_name), realm.normal(part.mapping()))


def _events(part: _Part, _realm_name: str) -> Iterator[Resource]:
    yield part.resource(events.REF, events.normal(part.mapping(allowed=events.FIELDS)))


def _user_profile(part: _Part, _realm_name: str) -> Iterator[Resource]:
    fields = frozenset({"unmanagedAttributePolicy", "attributes", "groups"})
    yield part.resource(user_profile.REF, user_profile.normal(part.mapping(allowed=fields)))


def _required_actions(part: _Part, _realm_name: str) -> Iterator[Resource]:
    for alias, action in part.children():
        attrs = action.mapping(required=frozenset({"enabled", "default", "priority"}), allowed=frozenset())
        yield action.resource(Ref(required_action.KIND, alias), attrs)


def _builtin_clients(part: _Part, _realm_name: str) -> Iterator[Resource]:
    for name, state in part.children():
        yield state.resource(
            Ref(builtin_client.KIND, name), {"state": state.one_of(frozenset({builtin_client.CLOSED}))}
        )


def _client_scopes(part: _Part, _realm_name: str) -> Iterator[Resource]:
    for name, scope in part.children():
        fields = frozenset({"description", "attributes", "mappers"})
        attrs = dict(scope.mapping(required=frozenset({"assign"}), allowed=fields))
        scope.child("assign").one_of(_ASSIGNMENTS)
        if "mappers" in attrs:
            attrs["mappers"] = client_scope.by_name(_mappers(scope.child("mappers")))
        yield scope.resource(Ref(client_scope.KIND, name), attrs)


def _mappers(part: _Part) -> Iterator[Json]:
    for name, mapper in part.children():
        attrs = mapper.mapping(required=frozenset({"mapper", "config"}), allowed=frozenset())
        yield {"name": name, "mapper": attrs["mapper"], "config": client_scope.normal_config(attrs["config"])}


def _client_profiles(part: _Part, _realm_name: str) -> Iterator[Resource]:
    for name, profile in part.children():
        attrs = profile.mapping(required=frozenset({"executors"}), allowed=frozenset({"description"}))
        yield profile.resource(Ref(client_policy.PROFILE, name), client_policy.normal_profile(attrs))


def _client_policies(part: _Part, _realm_name: str) -> Iterator[Resource]:
    for name, policy in part.children():
        fields = frozenset({"enabled", "conditions", "profiles"})
        attrs = policy.mapping(required=fields, allowed=frozenset({"description"}))
        yield policy.resource(Ref(client_policy.POLICY, name), client_policy.normal_policy(attrs))


def _flows(part: _Part, _realm_name: str) -> Iterator[Resource]:
    for alias, declared in part.children():
        attrs = declared.mapping(required=frozenset({"executions"}), allowed=frozenset({"description"}))
        steps = [_step(step) for step in declared.child("executions").items()]
        yield declared.resource(
            Ref(flow.FLOW, alias), {"description": attrs.get("description", ""), "executions": steps}
        )


def _step(part: _Part) -> Json:
    if "flow" in part.mapping():
        attrs = part.mapping(
            required=frozenset({"flow", "executions"}), allowed=frozenset({"requirement", "description"})
        )
        return {
            "flow": attrs["flow"],
            "description": attrs.get("description", ""),
            "requirement": _requirement(part),
            "executions": [_step(step) for step in part.child("executions").items()],
        }
    attrs = part.mapping(required=frozenset({"use"}), allowed=frozenset({"requirement", "config"}))
    return {"use": attrs["use"], "requirement": _requirement(part), "config": attrs.get("config", {})}


def _requirement(part: _Part) -> str:
    return part.child("requirement").one_of(_REQUIREMENTS) if "requirement" in part.value else _DEFAULT_REQUIREMENT


def _flow_bindings(part: _Part, _realm_name: str) -> Iterator[Resource]:
    part.mapping(allowed=frozenset(flow.BINDINGS))
    for name, binding in part.children():
        yield binding.resource(Ref(flow.BINDING, name), {"flow": binding.value})


_FILES: Mapping[str, Mapping[str, _Section]] = {
    "realm.yaml": {"realm": _realm},
    "user_profile.yaml": {"user_profile": _user_profile},
    "events.yaml": {"events": _events},
    "builtin_clients.yaml": {"builtin_clients": _builtin_clients},
    "client_policies.yaml": {"client_profiles": _client_profiles, "client_policies": _client_policies},
    "client_scopes.yaml": {"client_scopes": _client_scopes},
    "required_actions.yaml": {"required_actions": _required_actions},
    "flows.yaml": {"flows": _flows, "flow_bindings": _flow_bindings},
}
