"""The KMS: who holds the root key, and answers one question with it.

A provider has one method besides its health: `mac(key_version, message)`, HMAC-SHA-256 or whatever
the device offers that is a 32-byte pseudo-random function of the message under a root key that never
leaves it. Everything else is derived from that answer in `vault_api.sealing`.

    seam.py      the protocol, its two errors, and the self-test
    settings.py  which provider, and how it is reached
    watched.py   sealed until the provider has proven itself; unseals by itself
    file.py      the root keys in a 0600 file, for development
    pkcs11.py    an HSM
    openbao.py   OpenBao's transit engine; `openbao_login.py` is how to get in there
    aws.py       AWS KMS

A new provider is one file here with a class that satisfies `RootKeys`, one line in `PROVIDERS`, and one in
the contract suite `tests/vault_api/test_vault_kms_contract.py`, which runs for every line of that table.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

from identity.secret import SecretUnreadable, read_secret
from vault_api.kms.aws import AwsKms
from vault_api.kms.file import FileKms
from vault_api.kms.openbao import OpenBaoKms
from vault_api.kms.openbao_login import Login, MethodLogin, Proof, TokenFile
from vault_api.kms.pkcs11 import Pkcs11Kms
from vault_api.kms.seam import Kms, KmsHealth, KmsRefused, KmsUnavailable, RootKeys, self_test
from vault_api.kms.settings import KmsSettings
from vault_api.kms.watched import WatchedKms

__all__ = [
    "PROVIDERS",
    "Kms",
    "KmsHealth",
    "KmsRefused",
    "KmsSettings",
    "KmsUnavailable",
    "RootKeys",
    "WatchedKms",
    "open_kms",
    "provider",
    "self_test",
]


def _file(settings: KmsSettings) -> RootKeys:
    if settings.kms_file is None:
        raise KmsRefused("VAULT_KMS=file needs VAULT_KMS_FILE, the path of the root key file")
    return FileKms.from_file(settings.kms_file)


def _pkcs11(settings: KmsSettings) -> RootKeys:
    if settings.pkcs11_module is None or settings.pkcs11_pin_file is None or not settings.pkcs11_token:
        raise KmsRefused("VAULT_KMS=pkcs11 needs VAULT_PKCS11_MODULE, VAULT_PKCS11_TOKEN and VAULT_PKCS11_PIN_FILE")
    try:
        pin = read_secret(settings.pkcs11_pin_file, name="VAULT_PKCS11_PIN_FILE")
    except SecretUnreadable as error:
        raise KmsRefused(str(error)) from None
    return Pkcs11Kms(
        settings.pkcs11_module, settings.pkcs11_token, pin, settings.pkcs11_key, timeout=settings.kms_seconds
    )


def _openbao(settings: KmsSettings) -> RootKeys:
    if not settings.openbao_url:
        raise KmsRefused("VAULT_KMS=openbao needs VAULT_OPENBAO_URL")
    tls: ssl.SSLContext | bool = True
    if settings.openbao_ca_file is not None:
        try:
            tls = ssl.create_default_context(cafile=str(settings.openbao_ca_file))
        except (OSError, ssl.SSLError) as error:
            raise KmsRefused(f"VAULT_OPENBAO_CA_FILE: {settings.openbao_ca_file}: {error.strerror}") from None
    return OpenBaoKms(
        settings.openbao_url,
        settings.openbao_key,
        _openbao_login(settings),
        mount=settings.openbao_mount,
        namespace=settings.openbao_namespace,
        tls=tls,
        timeout=settings.kms_seconds,
    )


def _openbao_login(settings: KmsSettings) -> Login:
    ways: list[Login] = []
    if settings.openbao_token_file is not None:
        ways.append(TokenFile(settings.openbao_token_file))
    if settings.openbao_role_id_file is not None and settings.openbao_secret_id_file is not None:
        proofs = (
            Proof("role_id", settings.openbao_role_id_file, "VAULT_OPENBAO_ROLE_ID_FILE"),
            Proof("secret_id", settings.openbao_secret_id_file, "VAULT_OPENBAO_SECRET_ID_FILE"),
        )
        ways.append(MethodLogin(settings.openbao_auth_mount or "approle", proofs, {}))
    if settings.openbao_jwt_file is not None:
        proof = Proof("jwt", settings.openbao_jwt_file, "VAULT_OPENBAO_JWT_FILE")
        fields = {"role": settings.openbao_jwt_role} if settings.openbao_jwt_role else {}
        ways.append(MethodLogin(settings.openbao_auth_mount or "jwt", (proof,), fields))
    if len(ways) != 1:
        raise KmsRefused(
            "VAULT_KMS=openbao needs exactly one way to log in: VAULT_OPENBAO_TOKEN_FILE, VAULT_OPENBAO_ROLE_ID_FILE "
            "with VAULT_OPENBAO_SECRET_ID_FILE, or VAULT_OPENBAO_JWT_FILE"
        )
    return ways[0]


def _aws(settings: KmsSettings) -> RootKeys:
    if not settings.aws_region:
        raise KmsRefused("VAULT_KMS=aws needs VAULT_AWS_REGION")
    if settings.aws_credentials_file is not None:
        try:
            read_secret(settings.aws_credentials_file, name="VAULT_AWS_CREDENTIALS_FILE")
        except SecretUnreadable as error:
            raise KmsRefused(str(error)) from None
    return AwsKms(
        settings.aws_region,
        settings.aws_alias,
        endpoint=settings.aws_endpoint,
        credentials=settings.aws_credentials_file,
        timeout=settings.kms_seconds,
    )


PROVIDERS: Mapping[str, Callable[[KmsSettings], RootKeys]] = {
    "file": _file,
    "pkcs11": _pkcs11,
    "openbao": _openbao,
    "aws": _aws,
}
"""Every provider by the name that VAULT_KMS gives it."""


def provider(settings: KmsSettings) -> RootKeys:
    """The configured provider, not asked anything yet.

    Raises KmsRefused when none is configured, the name is unknown, or its settings are not right. There
    is no default: a vault that seals under no key, or under one nobody chose, is worse than none.
    """
    known = ", ".join(sorted(PROVIDERS))
    if not settings.kms:
        raise KmsRefused(f"no KMS is configured; set VAULT_KMS to one of: {known}")
    made = PROVIDERS.get(settings.kms)
    if made is None:
        raise KmsRefused(f"VAULT_KMS={settings.kms}: there is no such provider; known are: {known}")
    return made(settings)


async def open_kms(settings: KmsSettings) -> WatchedKms:
    """The configured provider under watch; sealed if it does not answer yet.

    Raises KmsRefused for settings that cannot be right and for a provider that answers wrongly.
    """
    watched = WatchedKms(provider(settings))
    try:
        await watched.unseal()
    except BaseException:
        await watched.close()
        raise
    return watched
