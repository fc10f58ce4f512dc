"""What the configuration makes of a realm, without any server: the pure part between document and diff."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from admin_sync_world import Configuration

from admin_sync.desired import Facts, desire
from admin_sync.desired.facts import Secret, Unknown, digest, same_secret
from admin_sync.desired.providers import workload_alias
from admin_sync.diff import Action, diff
from admin_sync.impact import effects
from admin_sync.load.document import scan
from admin_sync.model import Current, Desired, Ref, Resource, index
from admin_sync.policy import fingerprint, policy_source
from admin_sync.refs import (
    BINDING,
    CLIENT,
    IAM_ORDER,
    ORGANIZATION,
    PROVIDER,
    PROVIDER_MAPPER,
    USER,
    group_binding,
    partner_binding,
    role_binding,
    user,
)

ISSUERS = {name: f"http://localhost:8090/{name}" for name in ("workforce", "mock", "ci")}
HTTPS = {
    "WORKFORCE_ISSUER": "https://idp.example",
    "CI_ISSUER": "https://ci.example",
    "WORKSPACE_URL": "https://app.example",
    "ADMIN_URL": "https://app.example",
}


def endpoints(issuer: str) -> dict[str, str]:
    return {"issuer": issuer} | {
        name: f"{issuer}/{name}" for name in ("authorizationUrl", "tokenUrl", "jwksUrl", "userInfoUrl")
    }


def facts(*issuers: str, **changed: object) -> Facts:
    known = {issuer: endpoints(issuer) for issuer in (*ISSUERS.values(), *issuers)}
    secrets = {"workforce": Secret("w"), "mock": Secret("m")}
    return Facts(**{"discovered": known, "secrets": secrets, **changed})


def nothing(realm: str = "tradepulse-dev") -> Current:
    return Current(realm, exists=False, resources=index(()))


def wanted(
    configuration: Configuration, environment: str = "dev", current: Current | None = None, given=None
) -> Desired:
    return desire(configuration.document(), environment, current or nothing(), given or facts())


def read_back(desired: Desired, **extra: Resource) -> Current:
    """The server's side of a realm that is as desired, every object ours."""
    resources = [
        Resource(ref, {"email_verified": True, **one.attrs}, one.secrets, server_id="id", managed=True)
        for ref, one in desired.resources.items()
    ]
    return Current(desired.realm, exists=True, resources=index([*resources, *extra.values()]))


def kinds(desired: Desired, kind: str) -> set[str]:
    return {ref.name for ref in desired.resources if ref.kind == kind}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_a_realm_that_is_as_desired_needs_nothing(configuration: Configuration, environment: str) -> None:
    configuration.environ = HTTPS
    given = facts("https://idp.example", "https://ci.example")
    first = wanted(configuration, environment, given=given)
    current = read_back(first)
    assert diff(wanted(configuration, environment, current, given), current, IAM_ORDER).empty


def test_what_exists_only_in_one_environment_is_only_there(configuration: Configuration) -> None:
    configuration.environ = HTTPS
    given = facts("https://idp.example", "https://ci.example")
    dev, prod = wanted(configuration, "dev", given=given), wanted(configuration, "prod", given=given)
    assert "mock" in kinds(dev, PROVIDER)
    assert kinds(prod, PROVIDER) == {"workforce"}
    assert "ci-deployer" in kinds(dev, CLIENT)
    assert "ci-deployer" not in kinds(prod, CLIENT)


def test_enabled_if_waits_for_its_variable(configuration: Configuration) -> None:
    assert "google" not in kinds(wanted(configuration), PROVIDER)
    configuration.environ = {"GOOGLE_CLIENT_ID": "x"}
    given = facts(secrets={"workforce": Secret("w"), "mock": Secret("m"), "google": Secret("g")})
    assert "google" in kinds(wanted(configuration, given=given), PROVIDER)


def test_plain_http_opens_nothing_where_people_are_federated(configuration: Configuration) -> None:
    prod = wanted(configuration, "prod")
    assert kinds(prod, PROVIDER) == set()
    assert any(pending.ref == Ref(PROVIDER, "workforce") for pending in prod.pending)
    client = prod.resources[Ref(CLIENT, "tradepulse")]
    assert client.attrs["redirect_uris"] == ["http://127.0.0.1/callback"], "RFC 8252: a native app's loopback"


def test_clients_can_do_what_they_declare_and_nothing_else(configuration: Configuration) -> None:
    dev = wanted(configuration, given=facts(keys={"vault-api": '{"keys":[]}'}))
    clients = {ref.name: one.attrs for ref, one in dev.resources.items() if ref.kind == CLIENT}
    for name, attrs in clients.items():
        assert not attrs["password_grant"], name
        assert not attrs["implicit_flow"], name
        assert not attrs["full_scope"], name
        assert not any("*" in uri for uri in attrs["redirect_uris"]), name
    assert clients["tradepulse-cli"]["public"]
    assert clients["tradepulse-cli"]["attributes"]["pkce.code.challenge.method"] == "S256"
    assert clients["tradepulse-cli"]["attributes"]["default.acr.values"] == "aal2"
    assert clients["session-broker"]["attributes"]["standard.token.exchange.enabled"] == "true"
    assert clients["session-broker"]["attributes"]["oauth2.jwt.authorization.grant.idp"] == "mock##workforce"
    assert clients["vault-api"]["rights"] == ["realm-management:view-organizations"]
    assert clients["ci-deployer"]["authenticator"] == "federated-jwt"
    assert clients["ci-deployer"]["attributes"]["jwt.credential.issuer"] == workload_alias(ISSUERS["ci"])
    assert clients["tradepulse-internal"]["service_account"] is False


def test_a_cluster_is_a_platform_of_its_own_kind_and_is_not_asked_by_us(configuration: Configuration) -> None:
    configuration.edit(
        "roles.yaml",
        "    type: workload\n",
        "    type: workload\n    platform: kubernetes\n",
    )
    resources = wanted(configuration, given=facts(discovered={})).resources
    alias = workload_alias(ISSUERS["ci"])
    provider = resources[Ref(PROVIDER, alias)].attrs
    assert (provider["provider"], provider["link_only"]) == ("kubernetes", True)
    assert provider["config"]["issuer"] == ISSUERS["ci"]
    assert resources[Ref(CLIENT, "ci-deployer")].attrs["attributes"]["jwt.credential.issuer"] == alias


def test_a_workload_role_is_bound_to_its_account_only_where_it_lives(configuration: Configuration) -> None:
    configuration.environ = HTTPS
    given = facts("https://idp.example", "https://ci.example")
    assert "client ci-deployer role sre" in kinds(wanted(configuration, "staging", given=given), BINDING)
    assert "client ci-deployer role sre" not in kinds(wanted(configuration, "prod", given=given), BINDING)


def test_a_client_without_keys_exists_and_is_warned_about(configuration: Configuration) -> None:
    dev = wanted(configuration)
    assert any("vault-api" in warning and "cannot authenticate" in warning for warning in dev.warnings)


def test_local_people_get_accounts_and_federated_ones_wait(configuration: Configuration) -> None:
    dev, prod = wanted(configuration), wanted(configuration, "prod")
    account = dev.resources[user("quant.one@tradepulse.example")]
    assert account.attrs["required_actions"] == ["UPDATE_PASSWORD", "tradepulse-choose-factor"]
    assert kinds(prod, USER) == set()
    assert {pending.ref for pending in prod.pending} >= {group_binding("quant.one@tradepulse.example", "research")}


def test_a_person_is_found_by_address_without_regard_to_case_and_only_if_verified(configuration: Configuration) -> None:
    configuration.edit("role_bindings.yaml", "quant.one@tradepulse.example", "Quant.One@TradePulse.example")
    ref = group_binding("quant.one@tradepulse.example", "research")
    for verified in (True, False):
        person = Resource(user("quant.one@tradepulse.example"), {"email_verified": verified}, server_id="u")
        prod = wanted(configuration, "prod", Current("r", exists=True, resources=index([person])))
        assert (ref in prod.resources) is verified


def test_a_grant_is_taken_from_an_account_whose_address_is_not_verified_any_more(configuration: Configuration) -> None:
    current = read_back(wanted(configuration))
    ref = user("quant.one@tradepulse.example")
    table = {**current.resources, ref: Resource(ref, {"email_verified": False}, server_id="u", managed=True)}
    current = Current(current.realm, exists=True, resources=index(table.values()))
    plan = diff(wanted(configuration, current=current), current, IAM_ORDER)
    assert [str(change.ref) for change in plan.changes] == ["binding quant.one@tradepulse.example group research"]


def test_a_membership_that_a_provider_gave_stays_and_any_other_is_destroyed(configuration: Configuration) -> None:
    configuration.environ = HTTPS
    given = facts("https://idp.example", "https://ci.example")
    base = read_back(wanted(configuration, "prod", given=given))
    for providers, kept in ((["workforce"], True), ([], False), (["google"], False)):
        person = Resource(user("new@x.example"), {"email_verified": True, "providers": providers}, server_id="u")
        member = Resource(
            group_binding("new@x.example", "trading"),
            {"user": "new@x.example", "group": "trading"},
            server_id="u",
            managed=True,
        )
        current = Current(base.realm, exists=True, resources=index([*base.resources.values(), person, member]))
        plan = diff(wanted(configuration, "prod", current, given), current, IAM_ORDER)
        assert plan.empty is kept, providers


def test_a_membership_that_a_binding_gave_goes_with_its_end_although_a_provider_could_have_given_it(
    configuration: Configuration,
) -> None:
    """It would last as long as the session, and so would the role in every token that is refreshed in it."""
    binding = "  - {subject: {user: New@x.example}, group: trading, environments: [prod], expires: "
    ref = group_binding("new@x.example", "trading")
    person = Resource(user("new@x.example"), {"email_verified": True, "providers": ["workforce"]}, server_id="u")
    member = Resource(ref, {"user": "new@x.example", "group": "trading"}, server_id="u", managed=True)
    configuration.environ = HTTPS
    given = facts("https://idp.example", "https://ci.example")
    current = Current("tradepulse-prod", exists=True, resources=index([person, member]))
    configuration.edit("role_bindings.yaml", "bindings:\n", f"bindings:\n{binding}2020-01-01T00:00:00Z}}\n")
    ended = diff(wanted(configuration, "prod", current, given), current, IAM_ORDER)
    assert [one.action for one in ended.changes if one.ref == ref] == [Action.DELETE]
    # Another grant of the same, which lasts, is in force.
    configuration.edit("role_bindings.yaml", "bindings:\n", f"bindings:\n{binding}2099-01-01T00:00:00Z}}\n")
    lasting = diff(wanted(configuration, "prod", current, given), current, IAM_ORDER)
    assert [one.action for one in lasting.changes if one.ref == ref] == []


def test_a_membership_whose_line_left_the_file_goes_although_a_provider_could_have_given_it(
    configuration: Configuration,
) -> None:
    refs = [group_binding(f"{name}@x.example", "trading") for name in ("new", "other")]
    people = [
        Resource(user(f"{name}@x.example"), {"email_verified": True, "providers": ["workforce"]}, server_id=name)
        for name in ("new", "other")
    ]
    members = [
        Resource(ref, {"user": ref.name.split()[0], "group": "trading"}, server_id="u", managed=True) for ref in refs
    ]
    configuration.environ = HTTPS
    given = facts("https://idp.example", "https://ci.example")
    current = Current("tradepulse-prod", exists=True, resources=index([*people, *members]))
    for released, gone in (({}, []), ({"prod": refs[:1]}, refs[:1]), ({"dev": refs}, [])):
        plan = diff(wanted(configuration, "prod", current, replace(given, released=released)), current, IAM_ORDER)
        assert [one.ref for one in plan.changes if one.action is Action.DELETE] == gone


def test_an_expired_binding_is_not_granted_and_said(configuration: Configuration) -> None:
    configuration.edit(
        "role_bindings.yaml",
        "    role: viewer\n",
        "    role: viewer\n    expires: 2020-01-01T00:00:00+01:00\n",
    )
    dev = wanted(configuration)
    assert role_binding("platform.one@tradepulse.example", "viewer") not in dev.resources
    assert any("expired" in warning for warning in dev.warnings)
    assert user("platform.one@tradepulse.example") in dev.resources


def test_partners_bring_groups_administrators_and_one_salt(configuration: Configuration) -> None:
    dev = wanted(configuration)
    acme = dev.resources[Ref(ORGANIZATION, "acme-capital")].attrs
    assert (acme["salts"], acme["current_salt"]) == (["1"], "1")
    assert partner_binding("admin@acme.example", "acme-capital", "partner-admin") in dev.resources
    assert partner_binding("admin@birch.example", "birch-research", "partner-analyst") in dev.resources


def test_a_salt_that_is_gone_is_not_made_anew(configuration: Configuration) -> None:
    known = Resource(Ref(ORGANIZATION, "acme-capital"), {"salts": [], "current_salt": "1"}, server_id="o", managed=True)
    dev = wanted(configuration, current=Current("r", exists=True, resources=index([known])))
    assert dev.resources[known.ref].attrs["salts"] == []
    assert any("salt is missing" in warning for warning in dev.warnings)


def test_an_issuer_that_is_away_keeps_what_exists_and_holds_back_what_does_not(configuration: Configuration) -> None:
    first = wanted(configuration)
    away = facts(discovered={issuer: Unknown("it does not answer") for issuer in ISSUERS.values()})
    current = read_back(first)
    again = wanted(configuration, current=current, given=away)
    assert diff(again, current, IAM_ORDER).empty
    assert kinds(again, PROVIDER_MAPPER) == kinds(first, PROVIDER_MAPPER)
    fresh = wanted(configuration, given=away)
    assert kinds(fresh, PROVIDER) == set()
    assert any(pending.ref == Ref(CLIENT, "ci-deployer") for pending in fresh.pending)


def test_a_changed_secret_is_a_change_and_its_value_is_nowhere(configuration: Configuration) -> None:
    current = read_back(wanted(configuration))
    changed = facts(secrets={"workforce": Secret("canary"), "mock": Secret("m")})
    desired = wanted(configuration, current=current, given=changed)
    plan = diff(desired, current, IAM_ORDER)
    (change,) = plan.changes
    assert change.ref == Ref(PROVIDER, "workforce")
    assert [one.secret for one in change.differences] == [True]
    assert "canary" not in repr(desired) + repr(plan) + repr(changed)


def test_a_digest_knows_its_secret_and_no_other() -> None:
    made = digest("secret")
    assert same_secret(made, "secret")
    assert not same_secret(made, "Secret")
    assert made != digest("secret"), "every digest has a salt of its own"
    for broken in (None, "", "scrypt$x", "scrypt$!$!", made[:-2]):
        assert not same_secret(broken, "secret")


def test_the_difference_in_permissions_names_the_way(configuration: Configuration) -> None:
    current = read_back(wanted(configuration))
    configuration.edit("roles.yaml", "night-desk: {roles: []}", "night-desk: {roles: [mlops]}")
    configuration.edit(
        "role_bindings.yaml",
        "    group: research\n",
        "    group: trading/night-desk\n",
    )
    found = {
        (one.subject.name, one.thing.name, one.gained): one.way
        for one in effects(wanted(configuration, current=current), current)
    }
    person = "quant.one@tradepulse.example"
    assert found[person, "model:promote", True] == ("group trading/night-desk", "role mlops")
    assert found[person, "execution:launch", True] == ("group trading/night-desk", "group trading", "role trader")
    assert found[person, "backtest:run", False] == ("group research", "role quant")
    assert (person, "analytics:read", True) not in found, "both groups have it"


def test_the_policy_source_has_grants_with_their_ends(configuration: Configuration) -> None:
    configuration.environ = HTTPS
    source = policy_source(configuration.document())
    grants = {(one.email, one.environment, one.role): one.not_after for one in source.grants}
    end = int(datetime(2027, 1, 31, 18, tzinfo=UTC).timestamp())
    assert grants["platform.one@tradepulse.example", "staging", "sre"] == end
    assert grants["quant.one@tradepulse.example", "prod", "quant"] == 0
    assert ("trader.one@tradepulse.example", "dev", "trader") not in grants
    configuration.environ = {}
    assert policy_source(configuration.document()).federated_roles["prod"] == set(), "no provider stands there"
    assert source.federated_roles["prod"] == {"viewer", "quant", "trader", "mlops", "sre", "admin"}
    assert source.clients["ci-deployer"].environments == {"dev", "staging"}
    assert source.partners["birch-research"].roles == {"partner-analyst"}
    assert source.emergency_roles == {"admin"}


def test_a_grant_that_ended_stays_on_record_so_that_federation_does_not_revive_it(configuration: Configuration) -> None:
    binding = "  - {subject: {user: New@x.example}, role: viewer, environments: [dev], expires: 2020-01-01T00:00:00Z}\n"
    configuration.edit("role_bindings.yaml", "bindings:\n", f"bindings:\n{binding}")
    source = policy_source(configuration.document())
    ended = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    assert [one.not_after for one in source.grants if one.email == "new@x.example"] == [ended]
    assert "viewer" in source.federated_roles["dev"]


def test_a_role_that_a_grant_brings_along_ends_with_it_where_a_provider_may_give_it(
    configuration: Configuration,
) -> None:
    """A token names `admin` beside `super_admin`, and would keep it as if the provider had given it."""
    binding = (
        "  - {subject: {user: new@x.example}, role: super_admin, environments: [prod], expires: 2020-01-01T00:00:00Z}\n"
    )
    configuration.edit("role_bindings.yaml", "bindings:\n", f"bindings:\n{binding}")
    # Who may be given it is not the question here.
    document, _ = scan(configuration.directory, HTTPS)
    assert document is not None
    source = policy_source(document)
    ended = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    found = {(one.role, one.not_after) for one in source.grants if one.email == "new@x.example"}
    assert found == {("super_admin", ended), ("admin", ended), ("viewer", ended)}
    alone, _ = scan(configuration.directory, {})
    assert alone is not None
    assert {one.role for one in policy_source(alone).grants if one.email == "new@x.example"} == {"super_admin"}


def test_a_plan_is_bound_to_the_expiries_and_windows_that_are_published_with_it(configuration: Configuration) -> None:
    before = fingerprint(configuration.document())
    assert fingerprint(configuration.document()) == before
    configuration.edit("role_bindings.yaml", "2027-01-31T18:00:00Z", "2027-01-31T19:00:00Z")
    after = fingerprint(configuration.document())
    configuration.edit("policies.yaml", 'to: "22:00"', 'to: "23:00"')
    assert len({before, after, fingerprint(configuration.document())}) == 3
