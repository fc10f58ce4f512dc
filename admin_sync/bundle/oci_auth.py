"""How a registry is told who we are: as it asks for in `WWW-Authenticate` (the distribution token protocol).

A registry asks for Basic, or names a token service (`Bearer realm=…,service=…,scope=…`) that gives a
short-lived token for the same user and password. Nothing is sent before it is asked for.
"""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import urlencode, urlsplit

from admin_sync.bundle.errors import PublishFailed
from admin_sync.bundle.web import Web, place, private
from identity.secret import Secret

_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')


class OciAuth:
    """The `Authorization` of requests to one repository; `credential` is `user:password` or a token."""

    def __init__(self, web: Web, base: str, repository: str, credential: Secret | None) -> None:
        self._web = web
        self._base = base
        self._repository = repository
        self._credential = credential
        self._value: Secret | None = None

    def header(self) -> dict[str, str]:
        """What to send now; empty until a registry has asked."""
        return {} if self._value is None else {"Authorization": self._value.text()}

    def challenged(self, challenge: str) -> bool:
        """Take up a challenge; False if there is nothing (more) to answer it with. Raises PublishFailed."""
        before = self._value
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "bearer" and "realm" in (asked := dict(_PARAMETER.findall(rest))):
            self._value = self._bearer(asked)
        elif scheme.lower() in {"basic", "bearer"} and self._credential is not None:
            self._value = Secret(self._basic() if scheme.lower() == "basic" else f"Bearer {self._credential.text()}")
        return self._value is not None and self._value != before

    def _basic(self) -> str:
        if self._credential is None:
            return ""
        return "Basic " + base64.b64encode(self._credential.reveal()).decode()

    def _bearer(self, asked: dict[str, str]) -> Secret | None:
        if self._credential is not None and b":" not in self._credential.reveal():
            return Secret(f"Bearer {self._credential.text()}")
        realm = asked["realm"]
        # Whoever answers in the registry's place must not choose where the password goes in clear.
        if not private(realm) or (urlsplit(self._base).scheme == "https" and urlsplit(realm).scheme != "https"):
            raise PublishFailed(f"{self._base}: its token service {place(realm)} has no TLS")
        query = {"scope": f"repository:{self._repository}:pull,push"}
        if asked.get("service"):
            query["service"] = asked["service"]
        headers = {"Authorization": self._basic()} if self._credential is not None else {}
        answer = self._web.send("GET", f"{realm}?{urlencode(query)}", headers=headers)
        try:
            document = json.loads(answer.body) if answer.status == 200 else {}
            given = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            given = None
        return Secret(f"Bearer {given}") if isinstance(given, str) and given else None
