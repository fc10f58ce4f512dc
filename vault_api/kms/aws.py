"""Root keys in AWS KMS: `GenerateMac` with HMAC_SHA_256 under keys of spec HMAC_256.

AWS rotates no HMAC key in place, so each version of the root key is a key of its own, found by its
alias: version 3 is `alias/<name>-3`, and the current version is the highest one. An alias that was
pointed to another key is noticed as every other wrong root key is, by the pinned fingerprints.

The vault's account needs kms:GenerateMac and kms:DescribeKey on the keys and kms:ListAliases;
`kms-rotate-root` needs kms:CreateKey and kms:CreateAlias besides.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from vault_api.kms.seam import KmsHealth, KmsRefused, KmsUnavailable, require_message, require_older

_log = structlog.get_logger("vault_api.kms")

_T = TypeVar("_T")

_NEVER = {"NotFoundException", "InvalidKeyUsageException", "ValidationException", "IncorrectKeyException"}
"""Error codes of KMS that repeating the request does not change."""


class AwsKms:
    """HMAC-SHA-256 under the keys behind a family of aliases.

    timeout: seconds for one question, and for connecting
    """

    def __init__(
        self, region: str, alias: str, *, endpoint: str = "", credentials: Path | None = None, timeout: float = 5.0
    ) -> None:
        """Raises KmsRefused when boto3 is not there or the settings make no client."""
        try:
            import botocore.session  # noqa: PLC0415 - tens of megabytes that only those on AWS need
            from botocore.config import Config  # noqa: PLC0415
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ImportError:
            raise KmsRefused("VAULT_KMS=aws needs botocore; install requirements/kms.txt") from None
        self._no_answer, self._answered_no = BotoCoreError, ClientError
        self._alias = alias
        self._timeout = timeout
        # More threads than questions that are sensible at once: one that hangs does not hold up the next.
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="aws-kms")
        self._keys: Mapping[int, str] = {}
        session = botocore.session.Session()
        if credentials is not None:
            session.set_config_variable("credentials_file", str(credentials))
        try:
            self._client = session.create_client(
                "kms",
                region_name=region,
                endpoint_url=endpoint or None,
                config=Config(
                    connect_timeout=timeout, read_timeout=timeout, retries={"total_max_attempts": 1}, proxies={}
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise KmsRefused(f"the AWS settings make no client ({type(error).__name__})") from None

    @property
    def current_version(self) -> int:
        return max(self._keys, default=0)

    async def mac(self, key_version: int, message: bytes) -> bytes:
        require_message(message)
        return await self._ask(lambda: self._mac(key_version, message))

    async def look(self) -> None:
        await self._ask(self._find)

    async def health(self) -> KmsHealth:
        try:
            await self.look()
        except (KmsUnavailable, KmsRefused) as error:
            return KmsHealth(ok=False, provider="aws", current_version=self.current_version, detail=str(error))
        return KmsHealth(ok=True, provider="aws", current_version=self.current_version)

    async def add_version(self) -> int:
        return await self._ask(self._create)

    async def remove_version(self, version: int) -> None:
        """Takes the alias away at once; AWS destroys the key after the shortest time it allows, seven days."""
        await self._ask(lambda: self._destroy(version))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def _ask(self, question: Callable[[], _T]) -> _T:
        try:
            async with asyncio.timeout(self._timeout + 1.0):
                return await asyncio.get_running_loop().run_in_executor(self._threads, question)
        except TimeoutError:
            raise KmsUnavailable(f"AWS KMS did not answer within {self._timeout:g} s") from None
        except self._answered_no as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in _NEVER:
                raise KmsRefused(f"AWS KMS has no such key, or not for MACs ({code})") from None
            _log.error("kms.aws_failed", code=code)
            raise KmsUnavailable(f"AWS KMS refuses ({code})") from None
        except self._no_answer as error:
            raise KmsUnavailable(f"AWS KMS does not answer ({type(error).__name__})") from None

    # What follows runs in a thread.

    def _mac(self, key_version: int, message: bytes) -> bytes:
        if key_version not in self._keys:
            self._find()
        key = self._keys.get(key_version)
        if key is None:
            raise KmsRefused(f"there is no alias/{self._alias}-{key_version}")
        answer = self._client.generate_mac(KeyId=key, Message=message, MacAlgorithm="HMAC_SHA_256")
        return bytes(answer["Mac"])

    def _find(self) -> None:
        """Finds every version, and looks at the keys that are new to us."""
        pattern = re.compile(re.escape(f"alias/{self._alias}") + r"-([1-9][0-9]{0,8})\Z")
        keys: dict[int, str] = {}
        for page in self._client.get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                named = pattern.match(alias["AliasName"])
                if named is not None and "TargetKeyId" in alias:
                    keys[int(named[1])] = alias["TargetKeyId"]
        if not keys:
            raise KmsRefused(f"there is no alias/{self._alias}-1; `kms-rotate-root` creates the first key")
        for version, key in keys.items():
            if self._keys.get(version) != key:
                self._require(self._client.describe_key(KeyId=key)["KeyMetadata"], version)
        self._keys = keys

    def _require(self, key: Mapping[str, Any], version: int) -> None:
        name = f"alias/{self._alias}-{version}"
        if key.get("KeySpec") != "HMAC_256" or key.get("KeyUsage") != "GENERATE_VERIFY_MAC":
            raise KmsRefused(f"{name} is not of spec HMAC_256; a root key is")
        if key.get("Origin") == "EXTERNAL":
            raise KmsRefused(f"{name} was imported, so somebody else has it too; a root key is made in the KMS")

    def _create(self) -> int:
        try:
            self._find()
        except KmsRefused:
            if self._keys:
                raise
        version = self.current_version + 1
        made = self._client.create_key(
            KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", Description=f"{self._alias} version {version}"
        )
        # An alias that somebody made meanwhile is an error here, and never moved to another key.
        self._client.create_alias(AliasName=f"alias/{self._alias}-{version}", TargetKeyId=made["KeyMetadata"]["KeyId"])
        self._find()
        return version

    def _destroy(self, version: int) -> None:
        self._find()
        require_older(version, self.current_version)
        if version not in self._keys:
            raise KmsRefused(f"there is no alias/{self._alias}-{version}")
        self._client.delete_alias(AliasName=f"alias/{self._alias}-{version}")
        self._client.schedule_key_deletion(KeyId=self._keys[version], PendingWindowInDays=7)
        self._find()

    def __repr__(self) -> str:
        return f"<root keys {self._alias} in AWS KMS>"
