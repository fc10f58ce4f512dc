"""Makes sealed.json: `python tests/vault_api/vectors/generate.py`. Run it for a new format, never for an old one."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from vault_api.kms.file import FileKms
from vault_api.sealing.envelope import Place, _seal_with
from vault_api.sealing.keys import PartnerKey, mac_message

FILE = Path(__file__).with_name("sealed.json")


def fixed(label: str, length: int) -> bytes:
    """Bytes that look random and are the same every time."""
    return hashlib.shake_256(f"tradepulse vault vector {label}".encode()).digest(length)


def key(partner: str, version: int, *, root: str = "root", salt: str = "salt") -> PartnerKey:
    kms = FileKms({1: fixed(root, 32)}, 1)
    mac = asyncio.run(kms.mac(1, mac_message(partner, version, fixed(f"{salt} {partner} {version}", 32))))
    return PartnerKey.from_mac(partner, version, mac)


PLACES = [
    ("a short token", Place("acme-capital", "main", "access_token", 1), 1, b"token"),
    ("the other kind of the same row", Place("acme-capital", "main", "refresh_token", 1), 1, b"token"),
    ("a later version", Place("acme-capital", "main", "access_token", 2), 1, b"token"),
    ("a later key", Place("acme-capital", "main", "access_token", 2), 2, b"token"),
    ("a key version of four bytes", Place("acme-capital", "main", "access_token", 2**63), 2**32 - 1, b"token"),
    ("another partner", Place("birch-research", "main", "access_token", 1), 1, b"token"),
    ("names that concatenate alike", Place("a", "bc", "access_token", 1), 1, b"token"),
    ("names that concatenate alike", Place("ab", "c", "access_token", 1), 1, b"token"),
    ("one block", Place("acme-capital", "main", "access_token", 1), 1, bytes(range(16))),
    ("one block and a byte", Place("acme-capital", "main", "access_token", 1), 1, bytes(range(17))),
    ("a long token", Place("acme-capital", "main", "access_token", 1), 1, b"0123456789abcdef" * 20),
    ("nothing", Place("acme-capital", "main", "access_token", 1), 1, b""),
]


def vectors() -> dict[str, Any]:
    valid = []
    for number, (comment, place, version, plaintext) in enumerate(PLACES, start=1):
        k = key(place.partner, version)
        sealed = _seal_with(k, place, plaintext, nonce=fixed(f"nonce {number}", 24))
        valid.append(
            vector(comment, place, version, sealed)
            | {"fingerprint": k.fingerprint().hex(), "plaintext": plaintext.hex()}
        )
    place, sealed = PLACES[0][1], bytes.fromhex(valid[0]["sealed"])
    invalid = [vector(comment, *rest) for comment, *rest in spoiled(place, sealed)]
    return {
        "format": "0x01 | v[4] | N[24] | commitment[32] | AES-256-GCM",
        "root": fixed("root", 32).hex(),
        "valid": valid,
        "invalid": invalid,
    }


def vector(comment: str, place: Place, version: int, sealed: bytes) -> dict[str, Any]:
    return {
        "comment": comment, "partner": place.partner, "connection": place.connection, "kind": place.kind,
        "version": place.version, "key_version": version,
        "salt": fixed(f"salt {place.partner} {version}", 32).hex(), "sealed": sealed.hex(),
    }  # fmt: skip


def spoiled(place: Place, sealed: bytes) -> list[tuple[str, Place, int, bytes]]:
    parts = {"format": 0, "key version": 4, "nonce": 5, "commitment": 29, "body": 61, "tag": len(sealed) - 1}
    flipped = [
        (f"one bit of the {name} flipped", place, 1, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
        for name, at in parts.items()
    ]
    other_nonce = _seal_with(key(place.partner, 1), place, b"token", nonce=fixed("other nonce", 24))
    return [
        *flipped,
        ("empty", place, 1, b""),
        ("the header alone", place, 1, sealed[:61]),
        ("one byte short", place, 1, sealed[:-1]),
        ("one byte long", place, 1, sealed + b"\x00"),
        ("another partner's row", Place("birch-research", "main", "access_token", 1), 1, sealed),
        ("another connection's row", Place("acme-capital", "other", "access_token", 1), 1, sealed),
        ("the refresh token's column", Place("acme-capital", "main", "refresh_token", 1), 1, sealed),
        ("rolled forward to version 2", Place("acme-capital", "main", "access_token", 2), 1, sealed),
        ("opened under the key of version 2", place, 2, sealed),
        ("key version 2 written into the header", place, 2, sealed[:4] + b"\x02" + sealed[5:]),
        ("the commitment of another record", place, 1, sealed[:29] + other_nonce[29:61] + sealed[61:]),
        ("the nonce and commitment of another record", place, 1, other_nonce[:61] + sealed[61:]),
        ("a shorter tag", place, 1, sealed[:-4]),
    ]


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n")
