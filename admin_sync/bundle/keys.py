"""The key pair of the bundle: ES256, the private half in a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from admin_sync.bundle.errors import KeyUnusable

KEY_ID = "tradepulse-bundle"
ALGORITHM = "ES256"
SCOPE = "write"
"""What a signature is good for. OPA compares it with its own configuration and refuses any other."""


def create_key(private: Path, public: Path) -> None:
    """Make a new P-256 pair as PEM files, the private one with mode 0600. Raises KeyUnusable.

    A private key that exists is never overwritten: every OPA that verifies with it would stop
    taking bundles.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyUnusable(f"cannot create the bundle key {private}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    public.write_text(_public_pem(key))


def public_key(private: Path) -> str:
    """The public half of a private key file as PEM. Raises KeyUnusable if the file is not fit for signing."""
    return _public_pem(_read(private))


def signature(private: Path, message: bytes) -> bytes:
    """An ES256 signature (RFC 7518 section 3.4) in DER, the same each time (RFC 6979). Raises KeyUnusable."""
    return _read(private).sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def _read(private: Path) -> ec.EllipticCurvePrivateKey:
    try:
        mode = private.stat().st_mode
        pem = private.read_bytes()
    except OSError as error:
        raise KeyUnusable(
            f"cannot read the bundle key {private}: {error.strerror}; set ADMIN_SYNC_BUNDLE_KEY_FILE"
        ) from error
    if mode & 0o077:
        raise KeyUnusable(f"the bundle key {private} can be read by others; run: chmod 600 {private}")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise KeyUnusable(f"{private} holds no private key in PEM without a passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyUnusable(f"{private} is no P-256 key, which {ALGORITHM} needs")
    return key


def _public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
