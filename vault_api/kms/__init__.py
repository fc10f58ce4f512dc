"""The KMS: who holds the root key, and answers one question with it.

A provider has one method besides its health: `mac(key_version, message)`, HMAC-SHA-256 or whatever
the device offers that is a 32-byte pseudo-random function of the message under a root key that never
leaves it. Everything else is derived from that answer in `vault_api.sealing`.

    seam.py   the protocol, its two errors, and the self-test at start
    file.py   the root keys in a 0600 file, for development

A new provider is one file here with a class that satisfies `Kms`, one line in `PROVIDERS`, and the
contract suite `tests/vault_api/test_vault_kms.py`, which runs for every line of that table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vault_api.kms.file import FileKms
from vault_api.kms.seam import Kms, KmsHealth, KmsRefused, KmsUnavailable, self_test

if TYPE_CHECKING:
    from vault_api.settings import VaultSettings

__all__ = ["PROVIDERS", "Kms", "KmsHealth", "KmsRefused", "KmsUnavailable", "open_kms"]


def _file(settings: VaultSettings) -> Kms:
    if settings.kms_file is None:
        raise KmsRefused("VAULT_KMS=file needs VAULT_KMS_FILE, the path of the root key file")
    return FileKms.from_file(settings.kms_file)


PROVIDERS: Mapping[str, Callable[[VaultSettings], Kms]] = {"file": _file}
"""Every provider by the name that VAULT_KMS gives it."""


async def open_kms(settings: VaultSettings) -> Kms:
    """The configured provider, after it proved that it can MAC.

    Raises KmsRefused when none is configured, the name is unknown, or the proof fails. There is no
    default: a vault that seals under no key, or under one nobody chose, is worse than none.
    """
    known = ", ".join(sorted(PROVIDERS))
    if not settings.kms:
        raise KmsRefused(f"no KMS is configured; set VAULT_KMS to one of: {known}")
    provider = PROVIDERS.get(settings.kms)
    if provider is None:
        raise KmsRefused(f"VAULT_KMS={settings.kms}: there is no such provider; known are: {known}")
    kms = provider(settings)
    await self_test(kms)
    return kms
