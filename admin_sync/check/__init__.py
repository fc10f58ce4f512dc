"""Whether a document makes sense: one table of pure functions from document to findings.

    references    every name leads somewhere, nothing includes itself
    separation    nobody and nothing combines roles that policy keeps apart
    grants        requests, approvals and expiry of role bindings
    addresses     URLs and redirect URIs
    partners      partners, personas and partner roles
    rules         what the decision rules could not work with
    approvers     who was in a group of approvers when they agreed
    escalation    ways around the others: approvals, owners, environments, hidden rules

A new check is a function in one of these files and a line in `CHECKS`, with a stable code for each
thing that it finds; `docs/reference/checks.md` is written from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_sync.check.addresses import (
    broker_addresses,
    client_addresses,
    provider_addresses,
    webhook_addresses,
)
from admin_sync.check.approvers import former_approvers
from admin_sync.check.escalation import (
    accepted_grants,
    approver_sources,
    crossings,
    elevated_permissions,
    owners,
    realms,
    reused_requests,
    secret_exceptions,
    separation_rules,
)
from admin_sync.check.grants import approvals, barred, duplicates, elevated, emergencies, requests
from admin_sync.check.partners import domains, partner_references, partner_roles
from admin_sync.check.references import (
    binding_references,
    client_references,
    cycles,
    group_references,
    policy_references,
    provider_references,
    reserved_names,
    role_references,
)
from admin_sync.check.rules import sensitive, windows
from admin_sync.check.separation import separation_in_partners, separation_in_people, separation_in_things
from admin_sync.errors import Finding, InvalidInput
from admin_sync.load.document import Document, scan


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: a function, and what each of its codes means."""

    look: Callable[[Document], Iterator[Finding]]
    finds: Mapping[str, str]


_NO_SUCH: Final = "a name that leads nowhere"
_URL: Final = "an address that is no absolute https URL (http to the same machine only where people are local)"
_APART: Final = "roles that policy keeps apart would meet"
_DURATION: Final = "a duration that the rules cannot work with"

CHECKS: Final[Sequence[Check]] = (
    Check(role_references, {"unknown-permission": _NO_SUCH, "unknown-role": _NO_SUCH}),
    Check(cycles, {"include-cycle": "a role that includes itself, by whatever way"}),
    Check(group_references, {"unknown-role": _NO_SUCH}),
    Check(
        client_references,
        {
            "unknown-role": _NO_SUCH,
            "unknown-environment": _NO_SUCH,
            "redirect-uri": "authorization_code without redirect_uris, or redirect_uris without it",
            "flow": "service_account_roles without client_credentials",
        },
    ),
    Check(
        provider_references,
        {"unknown-group": _NO_SUCH, "unknown-environment": _NO_SUCH, "client-id": "a provider without a client_id"},
    ),
    Check(
        policy_references,
        {
            "unknown-environment": _NO_SUCH,
            "unknown-role": _NO_SUCH,
            "unknown-approver": _NO_SUCH,
            "unknown-group": _NO_SUCH,
            "unknown-client": _NO_SUCH,
            "missing": "an environment of which nobody says where its people come from",
        },
    ),
    Check(
        binding_references,
        {
            "unknown-environment": _NO_SUCH,
            "unknown-role": _NO_SUCH,
            "unknown-group": _NO_SUCH,
            "unknown-client-role": _NO_SUCH,
        },
    ),
    Check(reserved_names, {"reserved-name": "a name that Keycloak has for an object of its own"}),
    Check(separation_in_things, {"segregation-of-duties": _APART}),
    Check(separation_in_people, {"segregation-of-duties": _APART}),
    Check(separation_in_partners, {"segregation-of-duties": _APART}),
    Check(separation_rules, {"separation-rule": "a rule that hides another, or that keeps nothing apart"}),
    Check(duplicates, {"duplicate-binding": "the same grant, until the same instant, written twice"}),
    Check(
        barred,
        {
            "duplicate-binding": "the same grant, until the same instant, written twice",
            "barred": "a grant that was approved after the person was barred",
        },
    ),
    Check(requests, {"incomplete-request": "a grant by request without its reason, its approvals or its end"}),
    Check(
        approvals,
        {
            "self-approval": "an approval by the person who is given something",
            "same-approver": "two approvals by one person",
            "future-approval": "an approval that is dated later than now",
            "unknown-approver": "a capacity that nobody has",
            "not-an-approver": "an approver who was not in the group in every environment that the grant is for",
            "missing-approval": "fewer approvals than the policy asks for",
            "too-long": "a grant that ends later after its approval than any request may last",
        },
    ),
    Check(
        former_approvers,
        {
            "unknown-environment": _NO_SUCH,
            "unknown-group": _NO_SUCH,
            "former-approver": "a former member of a group of approvers whose membership is said to end later",
        },
    ),
    Check(reused_requests, {"reused-request": "a request whose approvals are copied to another grant"}),
    Check(approver_sources, {"unknown-source": "approvers from a source of whose members nobody knows"}),
    Check(emergencies, {"emergency-account": "a grant of an emergency account beyond the one that an opening gives"}),
    Check(elevated, {"elevated": "a direct grant of an elevated role without request, approvals and end"}),
    Check(
        elevated_permissions,
        {"elevated-permission": "a sensitive permission of an elevated role, in a role that needs no approvals"},
    ),
    Check(owners, {"no-owner": "a role without owners where policy has them approve"}),
    Check(
        crossings,
        {"crosses-environments": "a workload or a request that carries roles into an environment that denies them"},
    ),
    Check(secret_exceptions, {"secret-exception": "a static secret's exception that fits no client, or has ended"}),
    Check(realms, {"same-realm": "two environments in one realm", "reserved-name": "the realm `master`"}),
    Check(accepted_grants, {"unknown-environment": _NO_SUCH}),
    Check(client_addresses, {"url": _URL + "; a redirect URI with a wildcard, a fragment, a user name or an escape"}),
    Check(provider_addresses, {"url": _URL}),
    Check(broker_addresses, {"url": _URL}),
    Check(webhook_addresses, {"url": _URL}),
    Check(
        partner_references,
        {"unknown-partner_role": _NO_SUCH, "unknown-broker": _NO_SUCH, "unknown-persona": _NO_SUCH},
    ),
    Check(
        partner_roles,
        {
            "unknown-permission": _NO_SUCH,
            "not-partner-scoped": "a partner role with a permission that reaches beyond one partner",
            "ambiguous-role": "a partner role that is called like a platform role",
        },
    ),
    Check(
        domains,
        {
            "duplicate-domain": "an e-mail domain that leads to two partners",
            "duplicate-name": "a display name that two partners have",
        },
    ),
    Check(windows, {"window": "a window that never opens, or of a zone that does not exist"}),
    Check(sensitive, {"duration": _DURATION}),
)


def check(document: Document) -> list[Finding]:
    """Everything that is wrong with what a document means, sorted by place."""
    return sorted({finding for one in CHECKS for finding in one.look(document)})


def checked(directory: Path, environ: Mapping[str, str]) -> Document:
    """The valid configuration in a directory. Raises InvalidInput with every finding of shape and meaning."""
    document, findings = scan(directory, environ)
    if document is not None:
        findings.extend(check(document))
    if findings or document is None:
        raise InvalidInput(findings)
    return document
