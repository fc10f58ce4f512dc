"""Whether a document makes sense: one table of pure functions from document to findings.

    references    every name leads somewhere, nothing includes itself
    separation    nobody and nothing combines roles that policy keeps apart
    grants        requests, approvals and expiry of role bindings
    addresses     URLs and redirect URIs
    partners      partners, personas and partner roles
    rules         what the decision rules could not work with

A new check is a function in one of these files and a line in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from admin_sync.check.addresses import (
    broker_addresses,
    client_addresses,
    provider_addresses,
    webhook_addresses,
)
from admin_sync.check.grants import approvals, duplicates, elevated, requests
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
from admin_sync.check.separation import separation_in_people, separation_in_things
from admin_sync.errors import Finding, InvalidInput
from admin_sync.load.document import Document, scan

CHECKS: Final[tuple[Callable[[Document], Iterator[Finding]], ...]] = (
    role_references,
    cycles,
    group_references,
    client_references,
    provider_references,
    policy_references,
    binding_references,
    reserved_names,
    separation_in_things,
    separation_in_people,
    duplicates,
    requests,
    approvals,
    elevated,
    client_addresses,
    provider_addresses,
    broker_addresses,
    webhook_addresses,
    partner_references,
    partner_roles,
    domains,
    windows,
    sensitive,
)


def check(document: Document) -> list[Finding]:
    """Everything that is wrong with what a document means, sorted by place."""
    return sorted({finding for one in CHECKS for finding in one(document)})


def checked(directory: Path, environ: Mapping[str, str]) -> Document:
    """The valid configuration in a directory. Raises InvalidInput with every finding of shape and meaning."""
    document, findings = scan(directory, environ)
    if document is not None:
        findings.extend(check(document))
    if findings or document is None:
        raise InvalidInput(findings)
    return document
