"""The operator's commands about the root key: `kms-init`, `kms-status`, `kms-rotate-root`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vault_api.kms import KmsRefused, KmsSettings, KmsUnavailable, RootKeys, provider, self_test
from vault_api.kms.file import create_root_key_file
from vault_api.settings import KmsInitSettings


def init() -> int:
    """Creates the root key file of the development provider. Raises KmsRefused."""
    settings = KmsInitSettings()
    create_root_key_file(settings.kms_file)
    print(f"{settings.kms_file}: root key version 1 created; back it up, nothing else opens what it seals")  # noqa: T201
    return 0


def status() -> int:
    """Says whether the configured KMS can MAC, and under which version. Raises KmsRefused, KmsUnavailable."""
    return asyncio.run(_with_provider(_status))


def rotate_root() -> int:
    """Makes the next version of the root key, or the first. Raises KmsRefused, KmsUnavailable."""
    return asyncio.run(_with_provider(_rotate_root))


async def _with_provider(work: Callable[[str, RootKeys], Awaitable[None]]) -> int:
    settings = KmsSettings()
    kms = provider(settings)
    try:
        await work(settings.kms, kms)
    except KmsUnavailable as error:
        raise KmsRefused(f"the KMS does not answer: {error}") from None
    finally:
        await kms.close()
    return 0


async def _status(name: str, kms: RootKeys) -> None:
    await self_test(kms)
    print(f"{name}: answers; the current root key version is {kms.current_version}")  # noqa: T201


async def _rotate_root(name: str, kms: RootKeys) -> None:
    version = await kms.add_version()
    await self_test(kms)
    print(  # noqa: T201
        f"{name}: root key version {version} is current; new partner keys are derived under it within seconds. "
        "What is sealed stays under the older versions until a rotation of kind `root` has moved it: keep them."
    )
