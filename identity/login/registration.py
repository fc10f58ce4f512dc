"""Which issuer a program sends its user to, as which client, and what has to come back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from identity.login.errors import Code, LoginFailed
from identity.principal import AssuranceLevel

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Registration:
    """A public client of one issuer (RFC 8252).

    issuer:    the realm's URL, exactly as tokens name it; https, or http on this host
    client_id: a client whose redirect URI is `http://127.0.0.1/callback`, on any port
    audience:  what the access token has to be for, and for nothing else
    scope:     what is asked for; of all partners, because Keycloak tells of none where somebody belongs to several

    Raises LoginFailed (bad-registration).
    """

    issuer: str
    client_id: str = "tradepulse-cli"
    audience: str = "tradepulse-internal"
    scope: str = "openid organization:*"

    def __post_init__(self) -> None:
        if not safe_url(self.issuer) or urlsplit(self.issuer).query or self.issuer.endswith("/"):
            raise LoginFailed(
                Code.BAD_REGISTRATION,
                "the issuer has to be an https URL (http for this host alone) without a trailing slash; "
                "see TRADEPULSE_ISSUER",
            )
        if not self.client_id or not self.audience or "openid" not in self.scope.split():
            raise LoginFailed(Code.BAD_REGISTRATION, "a client, an audience and the scope openid are needed")

    @property
    def name(self) -> str:
        """What its session is called where sessions are kept: 24 hexadecimal digits."""
        return hashlib.sha256(f"{self.issuer}\n{self.client_id}\n{self.audience}".encode()).hexdigest()[:24]


def registration(environ: Mapping[str, str], *, issuer: str | None = None) -> Registration:
    """The registration that environment variables name; `issuer` goes first. Raises LoginFailed (bad-registration)."""
    chosen = issuer or environ.get("TRADEPULSE_ISSUER") or ""
    if not chosen:
        raise LoginFailed(Code.BAD_REGISTRATION, "say where to log in: --issuer, or TRADEPULSE_ISSUER")
    return Registration(
        chosen.rstrip("/"),
        environ.get("TRADEPULSE_CLI_CLIENT_ID") or "tradepulse-cli",
        environ.get("TRADEPULSE_OAUTH2_AUDIENCE") or "tradepulse-internal",
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a login has to prove (OpenID Connect Core 1.0, section 3.1.2.1; RFC 9470).

    `level` is insisted on; without one the client's default counts. `max_age` is in seconds: how long ago the
    person may have proved who they are.
    """

    level: AssuranceLevel | None = None
    max_age: int | None = None


def safe_url(url: str) -> bool:
    """Whether a URL may be given a token or a person: https, or http on this host; no user, no fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or parts.username or parts.password or parts.fragment or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
