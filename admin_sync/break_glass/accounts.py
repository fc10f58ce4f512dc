"""Which emergency accounts there are, what a realm calls them, and which role an opening gives. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admin_sync.load.document import Document

EMERGENCY_PERMISSION: Final = "iam:modify"
"""Whose roles keep working in a freeze: the ones that can end it."""

DOMAIN: Final = "break-glass.invalid"
"""No mail ever arrives there (RFC 2606), so no link for a new password does, and no provider can vouch for it."""


def address(account: str) -> str:
    """The e-mail address by which grants and the audit name an emergency account; also its user name."""
    return f"{account}@{DOMAIN}".lower()


def is_emergency(document: Document, email: str) -> bool:
    """Whether an address is that of an emergency account."""
    return email.lower() in {address(account) for account in document.policies.break_glass.accounts}


def role(document: Document) -> str | None:
    """The role that an opening gives: of those that keep working in a freeze the one that allows least.

    None where no role can end an emergency; then nothing can be opened either.
    """
    roles = document.roles.roles
    able = [name for name, one in roles.items() if EMERGENCY_PERMISSION in one.permissions]
    return min(able, key=lambda name: (len(roles[name].permissions) + len(roles[name].includes), name), default=None)


def places(document: Document) -> Iterator[tuple[str, str]]:
    """Every emergency account in every environment, as (environment, account)."""
    for environment in document.environments:
        for account in document.policies.break_glass.accounts:
            yield environment, account
