"""Root keys in OpenBao: HMAC by its transit engine (`POST /v1/<mount>/hmac/<key>/sha2-256`).

The transit key is of type `hmac`, 32 bytes, neither exportable nor backed up in plain text. Versions are
transit's own; the current one is its latest. The vault's policy there needs two lines:

    path "transit/hmac/tradepulse-root/sha2-256" { capabilities = ["update"] }
    path "transit/keys/tradepulse-root"          { capabilities = ["read"] }

`kms-rotate-root` needs `update` on `transit/keys/tradepulse-root/rotate` besides, which the vault's own
account does not have: run it with an operator's token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import structlog

from identity.outbound import OutboundError, Reply, exchange
from identity.strict_json import StrictJsonError, loads_object
from vault_api.kms.openbao_login import Login, LoginRefused
from vault_api.kms.seam import KmsHealth, KmsRefused, KmsUnavailable, require_message, require_older

_MAX_BYTES = 262_144
_log = structlog.get_logger("vault_api.kms")


class OpenBaoKms:
    """HMAC-SHA-256 under the versions of one transit key.

    url:     `https://host:port`; plain HTTP is accepted on the loopback only
    timeout: seconds for one question, a login on the way included
    """

    def __init__(
        self,
        url: str,
        key: str,
        login: Login,
        *,
        mount: str = "transit",
        namespace: str = "",
        tls: ssl.SSLContext | bool = True,
        timeout: float = 5.0,
    ) -> None:
        """Raises KmsRefused for an address that is not one."""
        address = httpx.URL(url)
        if address.scheme != "https" and not (
            address.scheme == "http" and address.host in ("127.0.0.1", "localhost", "::1")
        ):
            raise KmsRefused("VAULT_OPENBAO_URL is https://host:port; plain http only on the loopback")
        self._url = url.rstrip("/")
        self._path = "/".join(quote(part, safe="") for part in mount.strip("/").split("/"))
        self._key = quote(key, safe="")
        self._login = login
        self._headers = {"X-Vault-Request": "true", **({"X-Vault-Namespace": namespace} if namespace else {})}
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            verify=tls, timeout=httpx.Timeout(timeout), follow_redirects=False, trust_env=False
        )
        self._current = 0

    @property
    def current_version(self) -> int:
        return self._current

    async def mac(self, key_version: int, message: bytes) -> bytes:
        require_message(message)
        body = orjson.dumps({"input": base64.b64encode(message).decode(), "key_version": key_version})
        answer = await self._call("POST", f"/v1/{self._path}/hmac/{self._key}/sha2-256", body)
        # `vault:v3:<base64>`: transit says which version it used, and another than was asked for is no answer.
        head, _, encoded = str(answer.get("hmac", "")).rpartition(":")
        if head.rpartition(":")[2] != f"v{key_version}":
            raise KmsRefused(f"OpenBao answered with {head or 'nothing'} and not with version {key_version}")
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise KmsRefused("OpenBao's HMAC is not base64") from None

    async def health(self) -> KmsHealth:
        try:
            await self.look()
        except (KmsUnavailable, KmsRefused) as error:
            return KmsHealth(ok=False, provider="openbao", current_version=self._current, detail=str(error))
        return KmsHealth(ok=True, provider="openbao", current_version=self._current)

    async def add_version(self) -> int:
        await self._call("POST", f"/v1/{self._path}/keys/{self._key}/rotate", b"{}")
        await self.look()
        return self._current

    async def remove_version(self, version: int) -> None:
        """Transit trims from the lowest version on, so this removes every version up to this one."""
        await self.look()
        require_older(version, self._current)
        lowest = orjson.dumps({"min_encryption_version": version + 1, "min_decryption_version": version + 1})
        await self._call("POST", f"/v1/{self._path}/keys/{self._key}/config", lowest)
        trimmed = orjson.dumps({"min_available_version": version + 1})
        await self._call("POST", f"/v1/{self._path}/keys/{self._key}/trim", trimmed)

    async def close(self) -> None:
        await self._http.aclose()

    async def look(self) -> None:
        """Reads the latest version, and that the key is one that stays where it is."""
        key = await self._call("GET", f"/v1/{self._path}/keys/{self._key}")
        if key.get("type") != "hmac":
            raise KmsRefused(f"the transit key is of type {key.get('type')}; a root key is of type hmac")
        if key.get("exportable") or key.get("allow_plaintext_backup"):
            raise KmsRefused("the transit key may be exported; make one with exportable=false")
        latest = key.get("latest_version")
        if type(latest) is not int or latest < 1:
            raise KmsRefused("OpenBao does not say which version of the key is the latest")
        self._current = latest

    async def _call(self, method: str, path: str, body: bytes | None = None) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._send(method, path, body)
                if reply.status == 403:
                    # The token may have run out or been replaced by a newer one: once more with a fresh one.
                    self._login.forget()
                    reply = await self._send(method, path, body)
        except TimeoutError:
            raise KmsUnavailable(f"OpenBao did not answer within {self._timeout:g} s") from None
        except LoginRefused as error:
            raise KmsUnavailable(str(error)) from None
        except OutboundError as error:
            raise KmsUnavailable(str(error)) from None
        if reply.status == 403:
            raise KmsUnavailable("OpenBao refuses this account (403); see the policy in vault_api/kms/openbao.py")
        if reply.status in (400, 404):
            raise KmsRefused(f"OpenBao has no such key or version ({reply.status})")
        if reply.status != 200:
            # 503 is what a sealed server answers, 472 and 473 a standby that does not forward.
            _log.error("kms.openbao_failed", status=reply.status)
            raise KmsUnavailable(f"OpenBao answers {reply.status}{', it is sealed' if reply.status == 503 else ''}")
        return data_of(reply)

    async def _send(self, method: str, path: str, body: bytes | None) -> Reply:
        token = await self._login.token(self._http, self._url, self._headers, seconds=self._timeout)
        headers = {**self._headers, "X-Vault-Token": token.text(), "Content-Type": "application/json"}
        return await exchange(
            self._http, method, self._url + path, max_bytes=_MAX_BYTES, timeout=self._timeout, content=body,
            headers=headers, attempts=2 if method == "GET" or "/hmac/" in path else 1,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<root key {self._key} in OpenBao>"


def data_of(reply: Reply) -> Mapping[str, Any]:
    """The `data` of an answer. Raises KmsUnavailable for an answer that is not OpenBao's."""
    try:
        data = loads_object(reply.body, max_bytes=_MAX_BYTES).get("data")
    except StrictJsonError:
        raise KmsUnavailable("what answers is not OpenBao: its answer is not JSON") from None
    return data if isinstance(data, dict) else {}
