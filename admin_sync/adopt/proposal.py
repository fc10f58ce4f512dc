"""Objects of a realm as sections of the five files. Whether they are right is for the plan to say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from admin_sync.adopt.writing import Lines, Path_
from admin_sync.load.document import BINDINGS, BROKERS, PARTNERS, POLICIES, ROLES
from admin_sync.model import Current, Json, Ref
from admin_sync.ownership import Undeclared
from admin_sync.refs import BINDING, CLIENT, CLIENT_ROLE, GROUP, ROLE, USER

_ABOUT: Final = {
    ROLES: "What exists, as it was found. Reviewed by role owners; one pull request changes one thing.",
    BINDINGS: "Who holds what was taken over, as it was found.",
    POLICIES: "The rules that every grant and every request must keep. Adoption knows none: write yours here.",
    PARTNERS: "Partners are Keycloak organizations; those of the realm are not declared yet.",
    BROKERS: "The brokers that partners link to.",
}


@dataclass(frozen=True, slots=True)
class Realm:
    """What the operator says about the realm."""

    name: str
    environment: str
    people: str
    """`local` or `federated`."""
    owner: str
    """Who owns the adopted roles, until somebody says better."""

    @property
    def slug(self) -> str:
        """A name of ours for it: the realm's without its environment, where it is called that way."""
        plain = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in self.name.lower())
        plain = plain.removesuffix(f"-{self.environment}").strip("-")
        return plain if plain[:1].isalpha() else f"realm-{plain}".rstrip("-")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The five files, and whose each line is."""

    files: Mapping[str, Lines]

    @property
    def texts(self) -> dict[str, str]:
        """The files' contents by name."""
        return {name: lines.text for name, lines in self.files.items()}


def propose(
    current: Current, realm: Realm, declared: Collection[Ref], taken: Collection[Ref], accepted: Collection[Undeclared]
) -> Proposal:
    """The configuration that declares some objects, and the grants of those that are taken."""
    about: dict[str, dict[Path_, Ref]] = {name: {} for name in _ABOUT}
    data = {
        ROLES: _roles_file(current, realm, declared, about[ROLES]),
        BINDINGS: {"version": 1, "bindings": _bindings(current, realm, taken, about[BINDINGS])},
        POLICIES: _policies(realm, accepted),
        PARTNERS: {"version": 1, "personas": {}, "partners": {}},
        BROKERS: {"version": 1, "brokers": {}},
    }
    return Proposal({name: Lines(data[name], about[name], _ABOUT[name]) for name in data})


def _roles_file(current: Current, realm: Realm, declared: Collection[Ref], about: dict[Path_, Ref]) -> Json:
    setting: dict[str, Json] = {"base": "theirs", "existing": "watch"}
    if realm.name != f"{realm.slug}-{realm.environment}":
        setting = {"realm": realm.name, **setting}
    roles: dict[str, Json] = {}
    clients: dict[str, Json] = {}
    permissions: set[str] = set()
    for ref in sorted(declared):
        attrs = current.resources[ref].attrs
        if ref.kind == ROLE:
            about["roles", ref.name] = ref
            permissions.update(attrs["permissions"])
            roles[ref.name] = _role(attrs, realm)
        elif ref.kind == CLIENT:
            about["clients", ref.name] = ref
            clients[ref.name] = _client(attrs)
    for ref in sorted(declared):
        if ref.kind == CLIENT_ROLE:
            client, _, name = ref.name.partition("/")
            if client in clients:
                about["clients", client, "roles", name] = ref
                section = {"description": current.resources[ref].attrs["description"]}
                clients[client].setdefault("roles", {})[name] = section
    return {
        "version": 1,
        "realm": {"name": realm.slug, "display_name": realm.name, "audience": f"{realm.slug}-internal"},
        "environments": {realm.environment: setting},
        "permissions": {name: {"description": "Noted on a role of the adopted realm"} for name in sorted(permissions)},
        "roles": roles,
        "groups": _groups(current, declared, about),
        "clients": clients,
    }


def _role(attrs: Mapping[str, Any], realm: Realm) -> Json:
    section: dict[str, Json] = {"description": attrs["description"]}
    if attrs["includes"]:
        section["includes"] = list(attrs["includes"])
    return {**section, "permissions": list(attrs["permissions"]), "owners": [realm.owner]}


def _groups(current: Current, declared: Collection[Ref], about: dict[Path_, Ref]) -> Json:
    top: dict[str, Json] = {}
    places: dict[str, tuple[Path_, dict[str, Json]]] = {"": ((), top)}
    for ref in sorted(declared, key=lambda one: (one.name.count("/"), one.name)):
        parent, _, name = ref.name.rpartition("/")
        if ref.kind != GROUP or parent not in places:
            continue
        above, holder = places[parent]
        path: Path_ = (*above, "groups", name)
        section: dict[str, Json] = {"roles": list(current.resources[ref].attrs["roles"])}
        (holder if not parent else holder.setdefault("groups", {}))[name] = section
        about[path] = ref
        places[ref.name] = (path, section)
    return top


def _client(attrs: Mapping[str, Any]) -> dict[str, Json]:
    attributes = attrs["attributes"]
    flags = {
        "authorization_code": attrs["standard_flow"],
        "device": attributes.get("oauth2.device.authorization.grant.enabled") == "true",
    }
    if not attrs["public"]:
        flags |= {
            "client_credentials": attrs["service_account"],
            "token_exchange": attributes.get("standard.token.exchange.enabled") == "true",
            "jwt_grant": attributes.get("oauth2.jwt.authorization.grant.enabled") == "true",
        }
    section: dict[str, Json] = {
        "type": "public" if attrs["public"] else "confidential",
        "flows": [flow for flow, on in flags.items() if on],
    }
    if attrs["display_name"]:
        section["display_name"] = attrs["display_name"]
    if attrs["redirect_uris"]:
        section["redirect_uris"] = {"found": list(attrs["redirect_uris"])}
    return section


def _bindings(current: Current, realm: Realm, taken: Collection[Ref], about: dict[Path_, Ref]) -> list[Json]:
    verified = {
        ref.name for ref, one in current.resources.items() if ref.kind == USER and one.attrs.get("email_verified")
    }
    listed: list[Json] = []
    for ref, one in sorted(current.resources.items()):
        target = _target(one.attrs) if ref.kind == BINDING and one.attrs.get("user") in verified else None
        if target is None or Ref(target[0], target[1]) not in taken:
            continue
        about["bindings", len(listed)] = ref
        word = {ROLE: "role", GROUP: "group", CLIENT_ROLE: "client_role"}[target[0]]
        listed.append({"subject": {"user": one.attrs["user"]}, word: target[1], "environments": [realm.environment]})
    return listed


def _target(attrs: Mapping[str, Any]) -> tuple[str, str] | None:
    """The kind and the name of what a binding gives."""
    if "partner" in attrs:
        return None
    if "group" in attrs:
        return GROUP, attrs["group"]
    if "owner" in attrs:
        return CLIENT_ROLE, f"{attrs['owner']}/{attrs['role']}"
    return ROLE, attrs["role"]


def _policies(realm: Realm, accepted: Collection[Undeclared]) -> Json:
    approvals = ["manager", "system_owner"]
    found: dict[str, Json] = {
        "version": 1,
        "people": {realm.environment: realm.people},
        "assurance": {
            "levels": {"aal1": "password", "aal2": "totp", "aal3": "webauthn"},
            "interactive": "aal2",
            "sensitive": {"level": "aal2", "max_age": "5m"},
            "roles": {},
            "remember_me": {"max_age": "30d", "level": "aal1"},
        },
        "segregation_of_duties": [],
        "access_requests": {
            "default": {"approvals": approvals, "max_duration": "90d"},
            "elevated": {"roles": [], "approvals": approvals, "max_duration": "8h"},
            "mfa_before_grant": True,
            "approvers": {"manager": {"from": "hr_roster"}, "system_owner": {"from": "role_owners"}},
        },
        "certification": {"every": "90d", "stale_after": "90d", "orphan": "not_in_hr_roster"},
        "service_accounts": {"static_secrets": "forbidden", "exceptions": []},
        "break_glass": {
            "accounts": [],
            "max_duration": "1h",
            "review_within": "24h",
            "approvals": approvals,
            "mfa_bypass": {"max_duration": "4h", "approvals": approvals},
        },
        "undeclared_grants": "report",
    }
    if accepted:
        found["accepted_grants"] = [
            {"holder": one.holder, "grant": one.grant, "reason": "It was there when the realm was adopted."}
            for one in sorted(accepted)
        ]
    return found
