"""The rules, served by a real OPA, answer as a second implementation of them does: for any policy and any question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opa_process import POLICY, RunningOpa
from policy_oracle import Stamp, expected

from admin_sync.bundle.render import render
from admin_sync.bundle.source import (
    LEVELS,
    WEEKDAYS,
    Assurance,
    Client,
    Environment,
    Grant,
    Partner,
    PartnerRole,
    Permission,
    PolicySource,
    Role,
    Sensitive,
    Window,
)

PERMISSIONS = ("a:read", "b:launch", "c:link", "d:approve")
ROLES = ("viewer", "trader", "sre", "admin")
PARTNER_ROLES = ("partner-admin", "partner-analyst")
PARTNERS = ("acme", "birch")
ENVIRONMENTS = ("dev", "prod")
EMAILS = ("ada@x.test", "Bob@X.test")
CLIENTS = ("deployer", "vault-api")
BROKERS = ("paper", "alpaca")

# Around both changes of New York's clocks and an ordinary day, where it is most likely to go wrong.
INSTANTS = (
    st.integers(1772946000, 1772967600)  # 2026-03-08
    | st.integers(1793491200, 1793534400)  # 2026-11-01
    | st.integers(1795440000, 1796040000)
)
TIMES = st.sampled_from(["00:00", "00:30", "01:30", "02:30", "03:00", "08:00", "22:00", "23:59"])


def some(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(names))


def near(now: int) -> st.SearchStrategy[int]:
    return st.sampled_from([now - 1, now, now + 1, now + 30, now + 31, now + 500, now - 299, now - 300, now - 301])


def windows() -> st.SearchStrategy[Window]:
    return st.builds(
        Window,
        environments=some(ENVIRONMENTS),
        weekdays=st.frozensets(st.sampled_from(WEEKDAYS), min_size=3),
        opens=TIMES,
        closes=TIMES | st.just("24:00"),
        timezone=st.sampled_from(["America/New_York", "Asia/Kolkata", "UTC"]),
    )


@st.composite
def policies(draw: st.DrawFn, now: int) -> PolicySource:
    permissions = {
        name: draw(st.builds(Permission, sensitive=st.booleans(), partner_scoped=st.just(name[0] in "cd")))
        for name in PERMISSIONS
    }
    roles = {
        name: draw(
            st.builds(
                Role, permissions=some(PERMISSIONS), includes=some(ROLES[:place]) if place else st.just(frozenset())
            )
        )
        for place, name in enumerate(ROLES)
    }
    levels = st.sampled_from(LEVELS)
    grants = st.builds(
        Grant,
        email=st.sampled_from(EMAILS),
        environment=st.sampled_from(ENVIRONMENTS),
        role=st.sampled_from(ROLES),
        not_after=st.just(0) | near(now),
    )
    return PolicySource(
        permissions=permissions,
        roles=roles,
        environments={
            "dev": Environment(),
            "prod": Environment(deny_roles_from=draw(st.sampled_from([frozenset(), frozenset({"dev"})]))),
        },
        assurance=draw(
            st.builds(
                Assurance,
                interactive=levels,
                sensitive=st.builds(Sensitive, level=levels, max_age=st.just(300)),
                roles=st.dictionaries(st.sampled_from(ROLES + PARTNER_ROLES), levels),
            )
        ),
        partner_roles={name: draw(st.builds(PartnerRole, permissions=some(PERMISSIONS[2:]))) for name in PARTNER_ROLES},
        partners={
            name: draw(st.builds(Partner, persona=st.just("p"), brokers=some(BROKERS), roles=some(PARTNER_ROLES)))
            for name in PARTNERS
        },
        windows=draw(st.dictionaries(st.sampled_from(ROLES), windows())),
        grants=tuple(draw(st.lists(grants, max_size=12))),
        federated_roles=draw(st.dictionaries(st.sampled_from(ENVIRONMENTS), some(ROLES))),
        clients=draw(
            st.dictionaries(
                st.sampled_from(CLIENTS), st.builds(Client, environments=some(ENVIRONMENTS), roles=some(ROLES))
            )
        ),
        emergency_roles=draw(some(ROLES)),
        barred=draw(st.sampled_from([frozenset(), frozenset({"ada@x.test"}), frozenset({"bob@x.test"})])),
    )


def questions(now: int) -> st.SearchStrategy[dict[str, Any]]:
    subject = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["person", "person", "service"]),
            "id": st.just("7f0c"),
            "email": st.none() | st.sampled_from([*EMAILS, "ADA@X.TEST", "eve@x.test"]),
            # Mostly the environment that is asked about, or every example would end in a veto.
            "environment": st.sampled_from(["prod", "prod", "prod", "dev"]),
            "client": st.sampled_from([*CLIENTS, "stranger"]),
            "groups": st.lists(st.sampled_from([*ROLES, *PARTNER_ROLES, "ghost"]), max_size=5),
            "assurance_level": st.sampled_from(LEVELS),
            "acr": st.none() | st.sampled_from(LEVELS),
            "amr": st.just(["pwd"]),
            "auth_time": st.none() | near(now),
            "organizations": st.dictionaries(
                st.sampled_from([*PARTNERS, "nobody"]), st.lists(st.sampled_from([*PARTNER_ROLES, *ROLES]), max_size=3)
            ),
            "lent": st.dictionaries(
                st.sampled_from([*PARTNERS, "nobody"]),
                st.dictionaries(st.sampled_from([*PARTNER_ROLES, *ROLES]), near(now), max_size=2),
                max_size=2,
            ),
        }
    )
    resource = st.none() | st.just({}) | st.fixed_dictionaries({"broker": st.sampled_from([*BROKERS, ""])})
    return st.fixed_dictionaries(
        {
            "environment": st.sampled_from(["prod", "prod", "prod", "dev", "moon"]),
            "permission": st.sampled_from([*PERMISSIONS, *PERMISSIONS, "x:unknown"]),
            "partner": st.none() | st.sampled_from([*PARTNERS, *PARTNERS, "nobody"]),
            "resource": resource,
            "subject": subject,
        }
    )


@pytest.fixture(scope="module")
def server(start_lasting_opa: Callable[..., RunningOpa]) -> RunningOpa:
    return start_lasting_opa(POLICY)


# The policy, the clock and the questions travel in the input, so that one server judges every example.
QUERY = """
iam := input.iam
instant := input.now * 1000000000
answers := [answer |
    some question in input.questions
    answer := data.tradepulse.authz.decision with data.tradepulse.iam as iam
        with time.now_ns as instant
        with input as question
]
"""


def ask(server: RunningOpa, iam: Any, now: int, asked: list[Any]) -> list[dict[str, Any]]:
    reply = server.http.post("/v1/query", json={"query": QUERY, "input": {"questions": asked, "iam": iam, "now": now}})
    assert reply.status_code == 200, reply.text
    answers = reply.json()["result"][0]["answers"]
    assert len(answers) == len(asked), "an undefined decision"
    return answers


def data(source: PolicySource, stamp: Stamp) -> dict[str, Any]:
    meta = {
        "revision": "r-1",
        "serial": 1,
        "built_at": 0,
        "valid_until": stamp.valid_until,
        "frozen": stamp.frozen,
        "emergency_roles": sorted(source.emergency_roles),
    }
    return {**render(source), "meta": meta}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_question_on_any_policy_is_answered_as_the_second_opinion_says(
    server: RunningOpa, data_of: st.DataObject
) -> None:
    now = data_of.draw(INSTANTS)
    source = data_of.draw(policies(now))
    stamp = Stamp(
        frozen=data_of.draw(st.sampled_from([False, False, False, True])),
        valid_until=data_of.draw(st.sampled_from([now + 90000, now + 90000, now + 1, now])),
    )
    asked = data_of.draw(st.lists(questions(now), min_size=8, max_size=16))
    for question, answer in zip(asked, ask(server, data(source, stamp), now, asked), strict=True):
        wanted = expected(source, stamp, question, now)
        assert {key: answer[key] for key in wanted} == wanted, question
        assert (answer["revision"], answer["serial"]) == ("r-1", 1)
        assert answer["valid_until"] > now


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 10)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_input_of_any_other_shape_is_denied_and_never_undefined(server: RunningOpa, data_of: st.DataObject) -> None:
    now = 1795446000
    source = data_of.draw(policies(now))
    good = data_of.draw(questions(now))
    spoiled: Any = {**good, "subject": dict(good["subject"])}
    where = data_of.draw(st.sampled_from(["all", "top", "subject"]))
    if where == "all":
        spoiled = data_of.draw(JSON)
    else:
        target = spoiled if where == "top" else spoiled["subject"]
        field = data_of.draw(st.sampled_from(sorted(target)))
        target.pop(field)
        if data_of.draw(st.booleans()):
            target[field] = {"nested": [data_of.draw(JSON)]}
    [answer] = ask(server, data(source, Stamp(frozen=False, valid_until=now + 60)), now, [spoiled])
    assert (answer["allow"], answer["reasons"], answer["step_up"]) == (False, ["malformed_input"], None)
