"""The site's own certificate authority, and certificates for its servers (X.509, RFC 5280; ECDSA P-256).

An operator with an authority of their own provides `<server>.crt` and `<server>.key` and its `ca.pem` instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from identity.durable import replace_file

LIFE = timedelta(days=397)
"""Of a server's certificate; what browsers accept at most."""

RENEW = timedelta(days=60)
"""One that ends within this time is made again by the next start."""

_AUTHORITY_LIFE = timedelta(days=3650)


def make_authority(certificate: Path, key_file: Path, *, now: datetime | None = None) -> None:
    """A new authority, if there is none yet. It may sign certificates of servers and nothing below it."""
    if key_file.exists():
        return
    begin = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TradePulse site authority")])
    made = (
        _builder(name, name, key, begin, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    # Last: where there is a key there is a certificate.
    _write(key_file, _pem(key))


def make_server(
    folder: Path, server: str, names: Iterable[str], authority: tuple[Path, Path], *, now: datetime | None = None
) -> bool:
    """`<server>.crt` and `<server>.key`; whether they were made.

    A certificate that is good for long enough, bears the names and belongs to its key stays.
    """
    certificate, key_file = folder / f"{server}.crt", folder / f"{server}.key"
    wanted = tuple(dict.fromkeys(names))
    begin = now or datetime.now(UTC)
    if certificate.exists() and key_file.exists() and _good(certificate, key_file, wanted, begin):
        return False
    issuer = x509.load_pem_x509_certificate(authority[0].read_bytes())
    signer = serialization.load_pem_private_key(authority[1].read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the site authority's key is one on an elliptic curve")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0])])
    made = (
        _builder(subject, issuer.subject, key, begin, LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in wanted]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write(key_file, _pem(key))
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    return True


def _good(certificate: Path, key_file: Path, names: tuple[str, ...], now: datetime) -> bool:
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if found.public_key() != key.public_key():
        # A run that was killed between the two.
        return False
    return not missing_names(certificate, names) and found.not_valid_after_utc - now > RENEW


def missing_names(certificate: Path, names: Iterable[str]) -> list[str]:
    """Which of these DNS names the certificate in a PEM file does not bear, wildcards taken literally."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        borne = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return list(names)
    known = set(borne.get_values_for_type(x509.DNSName))
    return [name for name in names if name not in known]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of a site differ by a little.
        .not_valid_before(begin - timedelta(minutes=5))
        .not_valid_after(begin + life)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    replace_file(path, content)
