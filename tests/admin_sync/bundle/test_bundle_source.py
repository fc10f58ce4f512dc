"""A policy that means something else than it says is not made, and not rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from admin_sync.bundle.check import findings
from admin_sync.bundle.errors import SourceInvalid
from admin_sync.bundle.render import render
from admin_sync.bundle.source import (
    Assurance,
    Client,
    Environment,
    Grant,
    Partner,
    PartnerRole,
    PolicySource,
    Role,
    Sensitive,
    Window,
)

NOBODY = frozenset({"nobody"})
WINDOW = Window(
    environments=frozenset({"prod"}), weekdays=frozenset({"mon"}), opens="08:00", closes="22:00", timezone="UTC"
)
SENSITIVE = Sensitive(level="aal2", max_age=300)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: replace(WINDOW, opens="8:00"), "'8:00' is no time of day"),
        (lambda: replace(WINDOW, closes="24:01"), "'24:01' is no time of day"),
        (lambda: replace(WINDOW, opens="24:00"), "cannot open at 24:00"),
        (lambda: replace(WINDOW, weekdays=frozenset({"monday"})), "monday: no weekday"),
        (lambda: replace(WINDOW, timezone="Mars/Olympus"), "no known time zone"),
        (lambda: replace(WINDOW, timezone="../etc/passwd"), "no known time zone"),
        (lambda: replace(WINDOW, timezone="Local"), "needs a time zone"),
        (lambda: replace(WINDOW, timezone=""), "needs a time zone"),
        (lambda: Sensitive(level="aal4", max_age=300), "'aal4' is no assurance level"),
        (lambda: Sensitive(level="aal2", max_age=0), "at least a second"),
        (lambda: Assurance(interactive="", sensitive=SENSITIVE), "interactive assurance"),
        (lambda: Assurance(interactive="aal2", sensitive=SENSITIVE, roles={"sre": "high"}), "assurance of role sre"),
        (lambda: Grant(email="\u212a@x.test", environment="prod", role="viewer"), "in ASCII"),
        (lambda: Grant(email="", environment="prod", role="viewer"), "in ASCII"),
        (lambda: Grant(email="a@x.test", environment="prod", role="viewer", not_after=-1), "before 1970"),
    ],
)
def test_a_value_of_the_wrong_form_is_not_made(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


STRANGE_LEVEL = Assurance(interactive="aal2", sensitive=SENSITIVE, roles={"nobody": "aal3"})


@pytest.mark.parametrize(
    ("where", "value", "finding"),
    [
        ("roles", {"viewer": Role(permissions=NOBODY)}, "role viewer: there is no permission"),
        ("roles", {"viewer": Role(includes=NOBODY)}, "role viewer: there is no role"),
        ("environments", {"prod": Environment(deny_roles_from=NOBODY)}, "environment prod: there is no environment"),
        ("windows", {"nobody": WINDOW}, "production windows: there is no role"),
        ("windows", {"trader": replace(WINDOW, environments=NOBODY)}, "window of trader: there is no environment"),
        ("clients", {"c": Client(roles=NOBODY)}, "client c: there is no role"),
        ("clients", {"c": Client(environments=NOBODY)}, "client c: there is no environment"),
        ("grants", (Grant(email="a@x", environment="nobody", role="viewer"),), "grant of a@x: there is no environment"),
        ("grants", (Grant(email="a@x", environment="prod", role="nobody"),), "grant of a@x: there is no role"),
        ("federated_roles", {"nobody": frozenset()}, "federated roles: there is no environment"),
        ("federated_roles", {"prod": NOBODY}, "federated roles of prod: there is no role"),
        ("emergency_roles", NOBODY, "emergency roles: there is no role"),
        ("assurance", STRANGE_LEVEL, "assurance: there is no role"),
        ("partner_roles", {"p": PartnerRole(permissions=NOBODY)}, "partner role p: there is no permission"),
        ("partners", {"acme": Partner(persona="x", roles=NOBODY)}, "partner acme: there is no partner role"),
    ],
)
def test_a_name_that_leads_nowhere_is_found(source: PolicySource, where: str, value: object, finding: str) -> None:
    assert findings(source) == []
    spoiled = replace(source, **{where: value})  # type: ignore[arg-type]
    assert f"{finding} 'nobody'" in findings(spoiled)
    with pytest.raises(SourceInvalid, match="does not hang together"):
        render(spoiled)


def test_a_partner_role_with_a_permission_of_the_platform_is_found(source: PolicySource) -> None:
    roles = {**source.partner_roles, "p": PartnerRole(permissions=frozenset({"analytics:read"}))}
    assert findings(replace(source, partner_roles=roles)) == ["partner role p: 'analytics:read' is not partner-scoped"]


def test_roles_that_include_each_other_are_found_and_not_followed(source: PolicySource) -> None:
    roles = {
        "a": Role(includes=frozenset({"b"})),
        "b": Role(includes=frozenset({"c"})),
        "c": Role(includes=frozenset({"b"})),
    }
    circles = [finding for finding in findings(replace(source, roles=roles)) if "includes itself" in finding]
    assert circles == [f"role {name}: includes itself, directly or through others" for name in "bc"]


def test_all_findings_are_told_at_once(source: PolicySource) -> None:
    spoiled = replace(source, emergency_roles=NOBODY, federated_roles={"nobody": NOBODY})
    with pytest.raises(SourceInvalid) as caught:
        render(spoiled)
    assert len(str(caught.value).splitlines()) == 4
