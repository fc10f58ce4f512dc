"""`roles.yaml`: the realm, its permissions, roles, groups, clients and identity providers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from admin_sync.load.scalars import (
    Description,
    Domain,
    GroupPath,
    Line,
    Name,
    Permission,
    RealmName,
    Scope,
    SecretReference,
    Section,
    Text,
    Url,
    VariableName,
    Version,
)
from admin_sync.load.schema.policies import Level


class Realm(Section):
    """One realm per environment, called `{name}-{environment}`."""

    name: Name
    display_name: Line
    audience: Name


class Environment(Section):
    """An environment. What its people and grants must keep is in `policies.yaml`."""

    realm: RealmName | None = None
    """The realm, where it is not called `{realm.name}-{environment}`; that of an adopted one."""
    base: Literal["ours", "theirs"] = "ours"
    """Whose flows, scopes, realm settings and events the realm has; theirs are left alone."""
    existing: Literal["own", "watch"] = "own"
    """What becomes of a declared object that exists and is not ours: it has to become ours, or it is only compared."""


class PermissionSection(Section):
    """One thing that may be allowed."""

    description: Line
    sensitive: bool = False
    partner_scoped: bool = False


class Role(Section):
    """A platform role. `includes` are the roles whose permissions it has as well."""

    description: Description
    permissions: list[Permission] = Field(default_factory=list)
    includes: list[Name] = Field(default_factory=list)
    owners: list[Name] = Field(default_factory=list)


class PartnerRole(Section):
    """A role that exists only inside a partner."""

    description: Line
    permissions: list[Permission] = Field(default_factory=list)


class Group(Section):
    """A group of people. Its subgroups have its roles and add their own."""

    roles: list[Name] = Field(default_factory=list)
    groups: dict[Name, Group] = Field(default_factory=dict)


class ClientRole(Section):
    """A role that a client brings along for its own use."""

    description: Description


class _ClientBase(Section):
    display_name: Line | None = None
    environments: list[Name] | None = None
    """Where the client exists; everywhere when absent."""
    enabled_if: VariableName | None = None

    @property
    def service_roles(self) -> tuple[str, list[str]]:
        """The platform roles of its service account, and the field that lists them."""
        return "roles", []


class _PeoplesClient(_ClientBase):
    logout_url: Url | None = None
    """Where Keycloak says that a session of this client ended (OpenID Connect Back-Channel Logout)."""


class ConfidentialClient(_PeoplesClient):
    """A client with a key of its own."""

    type: Literal["confidential"]
    flows: Annotated[
        list[Literal["authorization_code", "device", "client_credentials", "token_exchange", "jwt_grant"]],
        Field(min_length=1),
    ]
    redirect_uris: dict[Name, list[Url]] = Field(default_factory=dict)
    service_account_roles: list[Literal["organizations:read", "organizations:write"]] = Field(default_factory=list)
    platform_roles: list[Name] = Field(default_factory=list)
    """Roles of the platform that its service account holds in every environment where the client is."""
    exchange_audiences: list[Name] = Field(default_factory=list)
    """What the tokens that it exchanges may be for besides `realm.audience`, one at a time; one per service that has
    an audience of its own."""
    roles: dict[Name, ClientRole] = Field(default_factory=dict)

    @property
    def service_roles(self) -> tuple[str, list[str]]:
        """See `_ClientBase`."""
        return "platform_roles", self.platform_roles


class PublicClient(_PeoplesClient):
    """A client on a person's own device, which can keep no secret."""

    type: Literal["public"]
    flows: Annotated[list[Literal["authorization_code", "device"]], Field(min_length=1)]
    redirect_uris: dict[Name, list[Url]] = Field(default_factory=dict)
    roles: dict[Name, ClientRole] = Field(default_factory=dict)


class WorkloadClient(_ClientBase):
    """A workload that its own platform vouches for with a token; no secret exists."""

    type: Literal["workload"]
    platform: Literal["oidc", "kubernetes"] = "oidc"
    """Any issuer, whose tokens are good once, or a cluster, whose pods use theirs until it ends."""
    issuer: Url
    subject: Text
    roles: list[Name] = Field(default_factory=list)

    @property
    def service_roles(self) -> tuple[str, list[str]]:
        """See `_ClientBase`."""
        return "roles", self.roles


Client = Annotated[ConfidentialClient | PublicClient | WorkloadClient, Field(discriminator="type")]


class UpstreamAssurance(Section):
    """What a provider's word about its own login is worth here; without this, `aal1`.

    Taken from the signed ID token of each login, and only together with its `auth_time`, so that a proof that
    is old there is old here.
    """

    claim: Text = "acr"
    """The claim that tells how the person logged in: `acr`, `amr`, or one of the provider's own. It may be a list."""
    levels: Annotated[dict[Text, Level], Field(min_length=1)]
    """Our level by value of that claim, compared exactly. A value that is not listed is `aal1`; of several the
    highest counts."""
    methods: list[Literal["pwd", "otp", "hwk", "swk", "fpt", "pin", "sc"]] = Field(default_factory=list)
    """Those values of the provider's `amr` (RFC 8176) that are passed on in ours."""
    request: dict[Literal["acr_values", "claims"], Text] = Field(default_factory=dict)
    """What every authorization request to the provider asks for (OpenID Connect Core, sections 3.1.2.1 and 5.5)."""


class _ProviderBase(Section):
    display_name: Line | None = None
    client_id: str
    client_secret: SecretReference
    group_mappings: dict[Text, GroupPath] = Field(default_factory=dict)
    """Groups of ours by the name that the provider's `groups` claim gives them."""
    scopes: list[Scope] = Field(default_factory=list)
    """What is asked for besides `openid profile email`; some providers send `groups` only to who asks for it."""
    email_domains: list[Domain] = Field(default_factory=list)
    """The domains whose addresses the provider may vouch for, each written out. With none it lets nobody in,
    because a grant names a person by e-mail."""
    assurance: UpstreamAssurance | None = None
    token_audiences: list[Text] = Field(default_factory=list)
    """The audiences of its tokens that may be exchanged for ours (`session-broker`); the client id alone if absent."""
    enabled_if: VariableName | None = None
    environments: list[Name] | None = None


class OidcProvider(_ProviderBase):
    """Any OpenID Connect provider; everything else is discovered from its issuer."""

    type: Literal["oidc"]
    issuer: Url


class GoogleProvider(_ProviderBase):
    """Google, whose endpoints Keycloak knows."""

    type: Literal["google"]


Provider = Annotated[OidcProvider | GoogleProvider, Field(discriminator="type")]


class TokenBridge(Section):
    """An issuer that names people who exist here, and nothing more: `session-broker` speaks through it for whom a
    legacy token names (docs/migration.md). Its word is worth `aal1`, makes no account, and nobody logs in by it."""

    display_name: Line | None = None
    issuer: Url
    jwks_url: Url
    enabled_if: VariableName | None = None
    environments: list[Name] | None = None


class RolesFile(Section):
    """The whole file."""

    version: Version
    realm: Realm
    environments: Annotated[dict[Name, Environment], Field(min_length=1)]
    permissions: dict[Permission, PermissionSection]
    roles: dict[Name, Role]
    partner_roles: dict[Name, PartnerRole] = Field(default_factory=dict)
    groups: dict[Name, Group] = Field(default_factory=dict)
    clients: dict[Name, Client] = Field(default_factory=dict)
    identity_providers: dict[Name, Provider] = Field(default_factory=dict)
    token_bridges: dict[Name, TokenBridge] = Field(default_factory=dict)
