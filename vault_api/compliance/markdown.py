"""The digest for reading. Names come from the configuration and the code; they are escaped all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vault_api.compliance.digest import Digest, PartnerDigest

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def markdown(digest: Digest) -> str:
    """One table over all partners, then a section for each that something happened to."""
    return (
        "\n".join([*_head(digest), *(line for partner in digest.partners for line in _section(partner, digest))]) + "\n"
    )


def _head(digest: Digest) -> Iterator[str]:
    yield f"# Vault digest {digest.since:%Y-%m-%d} to {digest.until:%Y-%m-%d}"
    yield ""
    yield f"Made {digest.made_at:%Y-%m-%d %H:%M} UTC. {digest.total('releases')} releases and "
    yield f"{digest.total('stores')} stores at {len(digest.partners)} partners."
    yield ""
    yield "| partner | credentials | expired | stores | releases | refusals | exceptions | leases |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for one in digest.partners:
        numbers = (
            one.holdings.credentials,
            one.holdings.expired,
            one.stores,
            one.releases,
            sum(one.refusals.values()),
            sum(one.exceptions.values()),
            one.holdings.leases,
        )
        yield f"| {_text(one.partner)} | {' | '.join(map(str, numbers))} |"


def _section(partner: PartnerDigest, digest: Digest) -> Iterator[str]:
    yield ""
    yield f"## {_text(partner.partner)}"
    yield ""
    oldest = partner.holdings.oldest_stored_at
    if oldest is not None:
        yield f"- oldest credential: {(digest.made_at - oldest).days} days"
    for key in partner.holdings.keys:
        yield f"- key version {key.version}: {(digest.made_at - key.pinned_at).days} days, {key.rows} credentials"
    if partner.holdings.irrevocable_leases:
        yield f"- **{partner.holdings.irrevocable_leases} leases do not end**"
    for title, counts in (
        ("Releases by role", partner.releases_by_role),
        ("Rotations", partner.rotations),
        ("Leases", partner.leases),
        ("Refusals", partner.refusals),
        ("Exceptions", partner.exceptions),
    ):
        yield from _table(title, counts)


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if not counts:
        return
    yield ""
    yield f"| {title} | |"
    yield "| --- | ---: |"
    for name, number in counts.items():
        yield f"| {_text(name)} | {number} |"


def _text(name: str) -> str:
    return _SPECIAL.sub(r"\\\1", name.replace("\n", " "))
