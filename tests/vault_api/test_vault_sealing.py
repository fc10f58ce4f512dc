"""Sealing: our own frozen vectors, a second implementation, Wycheproof, and everything that must not open."""

from __future__ import annotations

import hmac
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from vault_api.sealing import envelope
from vault_api.sealing.canonical import canonical, uint32, uint64
from vault_api.sealing.envelope import GCM_NONCE, OVERHEAD_BYTES, Place, SealError, key_version_of, open_sealed, seal
from vault_api.sealing.keys import PartnerKey, mac_message

VECTORS = Path(__file__).with_name("vectors")
WYCHEPROOF = Path(__file__).parents[1] / "vectors" / "wycheproof"
sys.path.insert(0, str(VECTORS))

import generate  # noqa: E402 - lies beside its vectors, not on the path
import independent  # noqa: E402

FROZEN = json.loads((VECTORS / "sealed.json").read_text())
PLACE = Place("acme-capital", "main", "access_token", 3)


def key(partner: str = "acme-capital", version: int = 1, mac: bytes = b"m" * 32) -> PartnerKey:
    return PartnerKey.from_mac(partner, version, mac)


def place_of(vector: dict[str, Any]) -> Place:
    return Place(vector["partner"], vector["connection"], vector["kind"], vector["version"])


def key_of(vector: dict[str, Any]) -> PartnerKey:
    message = mac_message(vector["partner"], vector["key_version"], bytes.fromhex(vector["salt"]))
    mac = hmac.digest(bytes.fromhex(FROZEN["root"]), message, "sha256")
    return PartnerKey.from_mac(vector["partner"], vector["key_version"], mac)


def second_key(vector: dict[str, Any]) -> bytes:
    root, salt = bytes.fromhex(FROZEN["root"]), bytes.fromhex(vector["salt"])
    return independent.partner_key(root, vector["partner"], vector["key_version"], salt)


def named(vectors: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("vector", vectors, ids=[v["comment"].replace(" ", "-") for v in vectors])


def test_the_generator_still_makes_the_frozen_vectors() -> None:
    assert generate.vectors() == FROZEN


@named(FROZEN["valid"])
def test_a_valid_vector_opens_here_and_in_the_second_implementation(vector: dict[str, Any]) -> None:
    sealed, plaintext = bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["plaintext"])
    assert open_sealed(key_of(vector), place_of(vector), sealed) == plaintext
    assert key_of(vector).fingerprint().hex() == vector["fingerprint"]
    second = second_key(vector)
    assert independent.fingerprint(second).hex() == vector["fingerprint"]
    where = (vector["partner"], vector["connection"], vector["kind"], vector["version"])
    assert independent.open_value(second, *where, sealed) == plaintext


@named(FROZEN["invalid"])
def test_an_invalid_vector_opens_nowhere(vector: dict[str, Any]) -> None:
    sealed = bytes.fromhex(vector["sealed"])
    with pytest.raises(SealError):
        open_sealed(key_of(vector), place_of(vector), sealed)
    where = (vector["partner"], vector["connection"], vector["kind"], vector["version"])
    with pytest.raises(independent.Refused):
        independent.open_value(second_key(vector), *where, sealed)


def test_every_flipped_bit_and_every_truncation_is_one_and_the_same_error() -> None:
    sealed = seal(key(), PLACE, b"a-token")
    said = set()
    spoiled = [sealed[:at] + bytes([sealed[at] ^ 1 << bit]) + sealed[at + 1 :]
               for at in range(len(sealed)) for bit in range(8)]  # fmt: skip
    for value in [*spoiled, *(sealed[:length] for length in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(SealError) as refusal:
            open_sealed(key(), PLACE, value)
        said.add((type(refusal.value), refusal.value.args, refusal.value.__cause__))
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert len(said) == 1


@given(st.binary(max_size=300), st.integers(1, 2**64 - 1), st.text(max_size=20), st.text(max_size=20))
def test_what_was_sealed_opens_in_its_place_and_in_no_other(
    plaintext: bytes, version: int, connection: str, other: str
) -> None:
    place = Place("acme-capital", connection, "access_token", version)
    sealed = seal(key(), place, plaintext)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert open_sealed(key(), place, sealed) == plaintext
    for elsewhere in (
        Place("acme-capital", connection, "refresh_token", version),
        Place("acme-capital", connection + "x", "access_token", version),
        Place("acme-capital", connection, "access_token", version % (2**64 - 1) + 1),
        *([Place("acme-capital", other, "access_token", version)] if other != connection else []),
    ):
        with pytest.raises(SealError):
            open_sealed(key(), elsewhere, sealed)


def test_two_seals_of_one_value_have_nothing_in_common() -> None:
    first, second = (seal(key(), PLACE, b"a-token") for _ in range(2))
    assert first[:5] == second[:5]
    assert not any(
        a == b for a, b in ((first[5:29], second[5:29]), (first[29:61], second[29:61]), (first[61:], second[61:]))
    )


@given(st.lists(st.binary(max_size=12), max_size=5), st.lists(st.binary(max_size=12), max_size=5))
def test_different_tuples_never_have_one_encoding(left: list[bytes], right: list[bytes]) -> None:
    assert (canonical(*left) == canonical(*right)) == (left == right)


def test_numbers_out_of_range_are_refused() -> None:
    for number in (-1, 2**32):
        with pytest.raises(ValueError, match="32 bits"):
            uint32(number)
    for number in (-1, 2**64):
        with pytest.raises(ValueError, match="64 bits"):
            uint64(number)


def test_what_would_weaken_every_key_is_refused() -> None:
    for partner, version, salt in (
        ("p", 1, b"short"),
        ("p", 0, bytes(32)),
        ("p", 2**32, bytes(32)),
        ("", 1, bytes(32)),
    ):
        with pytest.raises(ValueError):
            mac_message(partner, version, salt)
    with pytest.raises(ValueError):
        PartnerKey.from_mac("p", 1, b"too short")
    with pytest.raises(ValueError):
        key().record_keys(bytes(12))
    with pytest.raises(ValueError):
        seal(key("birch-research"), PLACE, b"x")


def test_a_key_shows_itself_in_no_repr_and_no_pickle() -> None:
    secret = key()
    material = secret.record_keys(bytes(24))
    raw = [secret._key, material.key, material.commitment]
    for shown in (repr(secret), str(secret), f"{secret}", repr(material), repr([secret, material])):
        assert not any(part.hex() in shown or repr(part)[2:-1] in shown for part in raw)
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def two_key_value(first: bytes, second: bytes, aad: bytes) -> bytes:
    """A GCM body and tag that open under both keys with the zero nonce and one associated data.

    Two blocks: the first is free, the second is solved for in GF(2^128) so that both tags agree
    (Dodis et al., "Fast Message Franking", 2018).
    """
    hashes, masks = [], []
    for k in (first, second):
        hashes.append(int.from_bytes(independent.aes_block(k, bytes(16))))
        masks.append(int.from_bytes(independent.aes_block(k, bytes(12) + b"\0\0\0\1")))
    free = b"attacker's block"
    # With the second block x: tag = ghash(aad, free || 0) + x * h^2 + mask, for each of the two keys.
    known = [independent.ghash(h, aad, free + bytes(16)) ^ mask for h, mask in zip(hashes, masks, strict=True)]
    squares = [independent.multiply(h, h) for h in hashes]
    x = independent.multiply(known[0] ^ known[1], independent.invert(squares[0] ^ squares[1]))
    body = free + x.to_bytes(16)
    tag = independent.ghash(hashes[0], aad, body) ^ masks[0]
    return body + tag.to_bytes(16)


def test_a_ciphertext_that_opens_under_two_keys_is_stopped_by_the_commitment(monkeypatch: pytest.MonkeyPatch) -> None:
    nonce, keys = bytes(range(24)), [key(mac=b"1" * 32), key(mac=b"2" * 32)]
    records = [k.record_keys(nonce) for k in keys]
    aad = PLACE.associated_data(1)
    body = two_key_value(records[0].key, records[1].key, aad)
    # The cipher alone takes it under either key.
    opened = [AESGCM(record.key).decrypt(GCM_NONCE, body, aad) for record in records]
    assert opened[0] != opened[1]
    header = bytes([envelope.FORMAT]) + uint32(1) + nonce
    sealed = header + records[0].commitment + body
    assert open_sealed(keys[0], PLACE, sealed) == opened[0]

    def never(*_: object) -> None:
        raise AssertionError("the cipher was asked before the commitment")

    monkeypatch.setattr(envelope, "AESGCM", never)
    with pytest.raises(SealError):
        open_sealed(keys[1], PLACE, sealed)


def test_a_header_names_its_key_version() -> None:
    assert key_version_of(seal(key(version=7), PLACE, b"x")) == 7
    with pytest.raises(SealError):
        key_version_of(b"\x02" + bytes(100))


def wycheproof(name: str) -> list[Any]:
    document = json.loads((WYCHEPROOF / name).read_text())
    cases = [(group, test) for group in document["testGroups"] for test in group["tests"]]
    assert len(cases) == document["numberOfTests"]
    return [pytest.param(group, test, id=f"{test['tcId']}-{test['result']}") for group, test in cases]


@pytest.mark.parametrize(("group", "test"), wycheproof("aes_gcm_test.json"))
def test_wycheproof_aes_gcm(group: dict[str, Any], test: dict[str, Any]) -> None:
    cipher = AESGCM(bytes.fromhex(test["key"]))
    iv, aad = bytes.fromhex(test["iv"]), bytes.fromhex(test["aad"])
    message, sealed = bytes.fromhex(test["msg"]), bytes.fromhex(test["ct"] + test["tag"])
    assert group["tagSize"] == 128
    if test["result"] == "valid" and 8 <= len(iv) <= 128:
        assert cipher.decrypt(iv, sealed, aad) == message
        assert cipher.encrypt(iv, message, aad) == sealed
    else:
        # A nonce that the library takes at no length we could give is refused, valid or not.
        with pytest.raises((InvalidTag, ValueError)):
            cipher.decrypt(iv, sealed, aad)


@pytest.mark.parametrize(("group", "test"), wycheproof("hkdf_sha256_test.json"))
def test_wycheproof_hkdf(group: dict[str, Any], test: dict[str, Any]) -> None:
    ikm, salt, info = (bytes.fromhex(test[name]) for name in ("ikm", "salt", "info"))
    assert len(ikm) * 8 == group["keySize"]
    if test["result"] == "valid":
        okm = bytes.fromhex(test["okm"])
        assert HKDF(SHA256(), test["size"], salt or None, info).derive(ikm) == okm
        prk = independent.hkdf_extract(salt, ikm)
        assert HKDFExpand(SHA256(), test["size"], info).derive(prk) == okm
        assert independent.hkdf_expand(prk, info, test["size"]) == okm
    else:
        with pytest.raises(ValueError):
            HKDF(SHA256(), test["size"], salt or None, info).derive(ikm)


@pytest.mark.parametrize(
    ("group", "test"),
    [
        case
        for case in wycheproof("aes_gcm_test.json")
        if case.values[0]["keySize"] == 256 and case.values[0]["ivSize"] == 96
    ],
)
def test_the_second_implementation_passes_wycheproof_too(group: dict[str, Any], test: dict[str, Any]) -> None:
    k, iv, aad, body = (bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "ct"))
    plaintext, tag = independent.gcm(k, iv, body, aad)
    assert (tag.hex() == test["tag"]) == (test["result"] == "valid"), group["type"]
    if test["result"] == "valid":
        assert plaintext.hex() == test["msg"]
