"""Identities that nobody employs: people with grants, and accounts that can log in, who are not in the HR roster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from admin_sync.desired import realm_name
from admin_sync.errors import InvalidInput
from admin_sync.holdings import holdings
from admin_sync.measures.subject import Subject, Untaken
from admin_sync.model import Json
from admin_sync.refs import USER
from admin_sync.roster import Roster


def orphans(subject: Subject) -> Mapping[str, Json]:
    """The numbers of every environment, and of all together. Raises Untaken, InvalidInput and KeycloakProblem.

    `holders` are people with a grant in force, `accounts` those of ours in Keycloak that are enabled. Emergency
    accounts are nobody's and a partner's administrators are that partner's, so their accounts are not counted.
    """
    roster = _roster(subject)
    others = {name.lower() for name in subject.document.policies.break_glass.accounts}
    for partner in subject.document.partners.partners.values():
        others.update(email.lower() for email in partner.admins)
    environments: dict[str, Json] = {}
    every: set[str] = set()
    for environment in subject.environments():
        realm = realm_name(subject.document, environment)
        current = subject.session.gateway(environment).read(realm)
        accounts = {
            ref.name.lower()
            for ref, one in current.resources.items()
            if ref.kind == USER and one.managed and one.attrs.get("enabled") is not False
        } - others
        holders = set(holdings(subject.document, environment, subject.now))
        lost = {"holders": _lost(roster, holders, subject), "accounts": _lost(roster, accounts, subject)}
        every.update(*lost.values())
        environments[environment] = {
            "holders": len(holders),
            "accounts": len(accounts),
            "orphaned_holders": len(lost["holders"]),
            "orphaned_accounts": len(lost["accounts"]),
            "who": sorted({*lost["holders"], *lost["accounts"]}),
        }
    return {"orphaned": len(every), "environments": environments}


def _lost(roster: Roster, people: Iterable[str], subject: Subject) -> set[str]:
    return {one for one in people if not roster.employed(one, subject.now.date())}


def _roster(subject: Subject) -> Roster:
    try:
        return subject.roster
    except InvalidInput as problem:
        # A broken roster must not look as if everybody had left, nor stop the other measures.
        raise Untaken(f"the roster cannot be used: {problem.findings[0]}") from None
