"""What the configuration refers to and does not contain: discovered endpoints, public keys, secrets.

Gathered once per run, before anything is planned, from the network, from files and from the
environment. A fact that cannot be had is a reason, not an error: what exists already stays.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from admin_sync.check.addresses import wrong_with
from admin_sync.errors import Misconfigured
from admin_sync.load.document import Document
from admin_sync.load.scalars import SecretReference
from admin_sync.load.schema import OidcProvider, WorkloadClient
from admin_sync.model import Ref
from admin_sync.settings import read_secret
from identity.trust import authorities

_ENDPOINTS: Final = {
    "authorization_endpoint": "authorizationUrl",
    "token_endpoint": "tokenUrl",
    "jwks_uri": "jwksUrl",
    "userinfo_endpoint": "userInfoUrl",
    "end_session_endpoint": "logoutUrl",
}
_REQUIRED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_MAX_BYTES: Final = 256 * 1024
_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be had, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's value, which no representation shows."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """`discovered`: Keycloak's endpoint settings by issuer. `keys`: a client's JWKS as JSON text by client id.
    `secrets`: by identity provider. `released`: by environment, memberships whose line left the bindings."""

    discovered: Mapping[str, Mapping[str, str] | Unknown] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret | Unknown] = field(default_factory=dict)
    released: Mapping[str, Collection[Ref]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def gather(
    document: Document, environments: Iterable[str], jwks_dir: Path | None, *, timeout: float = _TIMEOUT
) -> Facts:
    """All facts that some environments need. Issuers are asked side by side, each within `timeout` seconds."""
    wanted = set(environments)
    issuers = set()
    secrets: dict[str, Secret | Unknown] = {}
    for alias, provider in document.roles.identity_providers.items():
        if document.enabled(provider.enabled_if) and wanted & set(provider.environments or document.environments):
            secrets[alias] = resolve(provider.client_secret, document.environ)
            if isinstance(provider, OidcProvider):
                issuers.add(provider.issuer)
    for client in document.roles.clients.values():
        if isinstance(client, WorkloadClient) and client.platform == "oidc" and document.enabled(client.enabled_if):
            issuers.add(client.issuer)
    discovered = _discover_all(sorted(issuers), timeout)
    keys, warnings = _client_keys(document, jwks_dir)
    return Facts(discovered=discovered, keys=keys, secrets=secrets, warnings=tuple(warnings))


def _discover_all(issuers: list[str], timeout: float) -> Mapping[str, Mapping[str, str] | Unknown]:
    if not issuers:
        return {}
    with (
        httpx.Client(verify=authorities(), timeout=timeout, follow_redirects=False) as http,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(lambda issuer: discover(http, issuer), issuers)
        return dict(zip(issuers, answers, strict=True))


def discover(http: httpx.Client, issuer: str) -> Mapping[str, str] | Unknown:
    """Keycloak's settings from an issuer's discovery document (OpenID Connect Discovery 1.0, section 4)."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        found = json.loads(_fetch(http, url))
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        return Unknown(f"{url} does not answer as it should ({type(problem).__name__})")
    except (ValueError, RecursionError):
        return Unknown(f"{url} does not answer with JSON of a sensible size")
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        return Unknown(f"{url} speaks for another issuer")
    settings = {"issuer": issuer}
    for name, setting in _ENDPOINTS.items():
        value = found.get(name)
        if isinstance(value, str) and wrong_with(value) is None:
            settings[setting] = value
        elif name in _REQUIRED:
            return Unknown(f"{url} names no usable {name}")
    return settings


def _fetch(http: httpx.Client, url: str) -> bytes:
    """The body behind a URL. Raises ValueError when it is too long, httpx.HTTPError for anything but 200."""
    body = b""
    deadline = time.monotonic() + 2 * _TIMEOUT
    with http.stream("GET", url, headers={"Accept": "application/json"}) as response:
        if response.status_code != 200:
            raise httpx.HTTPStatusError("not 200", request=response.request, response=response)
        for chunk in response.iter_bytes():
            if time.monotonic() > deadline:
                # The client's timeout is for each read; a host that sends a byte a second never runs into it.
                raise httpx.ReadTimeout("too slow", request=response.request)
            body += chunk
            if len(body) > _MAX_BYTES:
                raise ValueError("too long")
    return body


def resolve(reference: SecretReference, environ: Mapping[str, str]) -> Secret | Unknown:
    """The secret behind a reference. A file must be readable by its owner alone.

    A variable NAME may also be given as NAME_FILE, the path of a file that holds the secret: what is in the
    environment of a process is inherited by every program that it starts.
    """
    if reference.env is not None:
        if value := environ.get(reference.env):
            return Secret(value)
        if not (named := environ.get(f"{reference.env}_FILE")):
            return Unknown(f"set the environment variable {reference.env} or {reference.env}_FILE")
        return _in_file(Path(named), f"{reference.env}_FILE")
    return _in_file(Path(reference.file or ""), "file")


def _in_file(path: Path, name: str) -> Secret | Unknown:
    try:
        return Secret(read_secret(path, name))
    except Misconfigured as problem:
        return Unknown(str(problem))


def _client_keys(document: Document, directory: Path | None) -> tuple[dict[str, str], list[str]]:
    keys: dict[str, str] = {}
    warnings: list[str] = []
    for name, client in document.roles.clients.items():
        path = directory / f"{name}.json" if directory else None
        if client.type != "confidential" or path is None or not path.is_file():
            continue
        try:
            found = json.loads(path.read_bytes()[:_MAX_BYTES])
            listed = [found] if "kty" in found else found["keys"]
            if any(part in key for key in listed for part in ("d", "k", "p", "q")):
                warnings.append(
                    f"client {name}: its key file holds a private key and is not used; publish the public half"
                )
                continue
            # One spelling for equal keys, so that a rewritten file is no change.
            keys[name] = json.dumps({"keys": listed}, sort_keys=True, separators=(",", ":"))
        except (OSError, ValueError, KeyError, TypeError):
            warnings.append(f"client {name}: its key file is no JWKS (RFC 7517) and is not used")
    return keys, warnings


def digest(secret: str, salt: bytes | None = None) -> str:
    """A salted, slow digest that tells whether a secret changed and nothing else (scrypt, RFC 7914)."""
    salt = os.urandom(16) if salt is None else salt
    made = hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
    return f"scrypt${base64.urlsafe_b64encode(salt).decode()}${base64.urlsafe_b64encode(made).decode()}"


def same_secret(known: str | None, secret: str) -> bool:
    """Whether a digest was made of this secret."""
    try:
        name, salt, _ = (known or "").split("$")
        again = digest(secret, base64.urlsafe_b64decode(salt))
    except ValueError:
        return False
    return name == "scrypt" and hmac.compare_digest(again, known or "")
