"""Which KMS, and how it is reached: environment variables, and secrets only as paths of files.

VAULT_KMS=file      VAULT_KMS_FILE
VAULT_KMS=pkcs11    VAULT_PKCS11_MODULE, _TOKEN, _PIN_FILE, _KEY
VAULT_KMS=openbao   VAULT_OPENBAO_URL, _KEY, _MOUNT, _NAMESPACE, _CA_FILE and one way to log in:
                    _TOKEN_FILE | _ROLE_ID_FILE with _SECRET_ID_FILE | _JWT_FILE with _JWT_ROLE
VAULT_KMS=aws       VAULT_AWS_REGION, _ALIAS, _ENDPOINT, _CREDENTIALS_FILE
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_CONFIG = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, populate_by_name=True, frozen=True)


class KmsSettings(BaseSettings):
    """The holder of the root key. There is no default: a root key that nobody chose protects nothing."""

    model_config = _CONFIG

    kms: str = Field(default="", validation_alias="VAULT_KMS")
    kms_seconds: float = Field(default=5.0, gt=0, le=30, validation_alias="VAULT_KMS_SECONDS")
    """After this long an unanswered question to the KMS is given up."""
    kms_file: Path | None = Field(default=None, validation_alias="VAULT_KMS_FILE")

    pkcs11_module: Path | None = Field(default=None, validation_alias="VAULT_PKCS11_MODULE")
    """The shared library of the HSM's vendor."""
    pkcs11_token: str = Field(default="", validation_alias="VAULT_PKCS11_TOKEN")
    """The label of the token."""
    pkcs11_pin_file: Path | None = Field(default=None, validation_alias="VAULT_PKCS11_PIN_FILE")
    pkcs11_key: str = Field(default="tradepulse-root", validation_alias="VAULT_PKCS11_KEY")
    """Version 3 of the root key is the secret key with the label `<this>-3`."""

    openbao_url: str = Field(default="", validation_alias="VAULT_OPENBAO_URL")
    openbao_key: str = Field(default="tradepulse-root", validation_alias="VAULT_OPENBAO_KEY")
    openbao_mount: str = Field(default="transit", validation_alias="VAULT_OPENBAO_MOUNT")
    openbao_namespace: str = Field(default="", validation_alias="VAULT_OPENBAO_NAMESPACE")
    openbao_ca_file: Path | None = Field(default=None, validation_alias="VAULT_OPENBAO_CA_FILE")
    openbao_token_file: Path | None = Field(default=None, validation_alias="VAULT_OPENBAO_TOKEN_FILE")
    openbao_role_id_file: Path | None = Field(default=None, validation_alias="VAULT_OPENBAO_ROLE_ID_FILE")
    openbao_secret_id_file: Path | None = Field(default=None, validation_alias="VAULT_OPENBAO_SECRET_ID_FILE")
    openbao_jwt_file: Path | None = Field(default=None, validation_alias="VAULT_OPENBAO_JWT_FILE")
    openbao_jwt_role: str = Field(default="", validation_alias="VAULT_OPENBAO_JWT_ROLE")
    openbao_auth_mount: str = Field(default="", validation_alias="VAULT_OPENBAO_AUTH_MOUNT")
    """Where the login method is mounted, unless at `approle` or `jwt`."""

    aws_region: str = Field(default="", validation_alias="VAULT_AWS_REGION")
    aws_alias: str = Field(default="tradepulse-root", validation_alias="VAULT_AWS_ALIAS")
    """Version 3 of the root key is the HMAC_256 key with the alias `alias/<this>-3`."""
    aws_endpoint: str = Field(default="", validation_alias="VAULT_AWS_ENDPOINT")
    """The address of the API, where it is not that of the region (a VPC endpoint)."""
    aws_credentials_file: Path | None = Field(default=None, validation_alias="VAULT_AWS_CREDENTIALS_FILE")
    """In the form of `~/.aws/credentials`; without it the account of the instance, pod or task is used."""
