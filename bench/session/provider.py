"""ID tokens of the workforce's identity provider, by its own authorization code flow (the real server of the stack)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import httpx

CLIENT = "tradepulse"
_REDIRECT = "http://127.0.0.1/callback"


class ProviderFailed(Exception):
    """The provider gave no token; the text says where it stopped."""


async def id_token(http: httpx.AsyncClient, issuer: str, email: str, client_secret: str) -> str:
    """One ID token for this person. Raises ProviderFailed and httpx's errors."""
    question = {
        "client_id": CLIENT,
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": _REDIRECT,
        "state": secrets.token_hex(8),
        "nonce": secrets.token_hex(8),
    }
    page = await http.post(f"{issuer}/authorize", params=question, data={"username": email, "claims": "{}"})
    code = parse_qs(urlsplit(page.headers.get("location", "")).query).get("code")
    if not code:
        raise ProviderFailed(f"no code: {page.status_code}")
    form = {"grant_type": "authorization_code", "code": code[0], "redirect_uri": _REDIRECT, "client_id": CLIENT}
    answer = await http.post(f"{issuer}/token", data={**form, "client_secret": client_secret})
    if answer.status_code != 200:
        raise ProviderFailed(f"no token: {answer.status_code}")
    return str(answer.json()["id_token"])


async def id_tokens(issuer: str, emails: Sequence[str], client_secret: str) -> list[str]:
    """A token for each of these, eight at once."""
    gate = asyncio.Semaphore(8)

    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:

        async def one(email: str) -> str:
            async with gate:
                return await id_token(http, issuer, email, client_secret)

        return list(await asyncio.gather(*(one(email) for email in emails)))
