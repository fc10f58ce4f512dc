"""The signature: an in-toto statement about the files of a report, in a DSSE envelope, by Ed25519.

Both formats are public (https://github.com/secure-systems-lab/dsse, https://github.com/in-toto/attestation), so the
evidence can be verified without us. What is signed begins with the type of what is signed, so a signature of this
key under an audit checkpoint can never pass for one of these.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

import orjson
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from admin_sync.model import Json

PAYLOAD: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://tradepulse.example/certification/v1"


class NotEvidence(ValueError):
    """The envelope is none of ours, or not signed by the key that was given; the text says which."""


def signed(predicate: Mapping[str, Json], files: Mapping[str, bytes], key: Ed25519PrivateKey) -> bytes:
    """The envelope around a statement that these files are what `predicate` tells of."""
    payload = rfc8785.dumps(
        {
            "_type": STATEMENT,
            "subject": [
                {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}} for name, data in files.items()
            ],
            "predicateType": PREDICATE,
            "predicate": dict(predicate),
        }
    )
    signature = {"keyid": key_id(key.public_key()), "sig": _text(key.sign(_encoded(payload)))}
    envelope = {"payload": _text(payload), "payloadType": PAYLOAD, "signatures": [signature]}
    return orjson.dumps(envelope, option=orjson.OPT_INDENT_2) + b"\n"


def opened(envelope: bytes, key: Ed25519PublicKey) -> dict[str, Json]:
    """The statement in an envelope that `key` signed. Raises NotEvidence."""
    try:
        outer = orjson.loads(envelope)
        payload = base64.b64decode(outer["payload"], validate=True)
        kind = outer["payloadType"]
        signatures = [base64.b64decode(one["sig"], validate=True) for one in outer["signatures"]]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise NotEvidence("it is no DSSE envelope") from None
    if kind != PAYLOAD:
        raise NotEvidence(f"its payload is {kind!r}, not an in-toto statement")
    # Not before the signature holds is anything of the payload looked at.
    if not any(_holds(one, payload, key) for one in signatures):
        raise NotEvidence(f"it is not signed by the key {key_id(key)}")
    statement: dict[str, Json] = orjson.loads(payload)
    if statement.get("_type") != STATEMENT or statement.get("predicateType") != PREDICATE:
        raise NotEvidence("it is a statement about something else than a certification")
    return statement


def key_id(key: Ed25519PublicKey) -> str:
    """How a key is called: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: lengths first, so that no two pairs of type and payload read alike."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _holds(signature: bytes, payload: bytes, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(signature, _encoded(payload))
    except InvalidSignature:
        return False
    return True


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
