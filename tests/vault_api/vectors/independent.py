"""The sealed format a second time, from the standards alone, to hold the product against.

Slow, not constant time, and for tests only: AES-256 (FIPS 197), GCM (NIST SP 800-38D) and HKDF
(RFC 5869) in plain Python. Nothing here imports the product or a cryptographic library.
"""

from __future__ import annotations

import hashlib
import hmac
import struct


class Refused(Exception):
    """The value does not open."""


def framed(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def partner_key(root: bytes, partner: str, version: int, salt: bytes) -> bytes:
    message = framed(b"partner-key", partner.encode(), struct.pack(">I", version), salt)
    mac = hmac.new(root, message, hashlib.sha256).digest()
    return hkdf_expand(hkdf_extract(b"", mac), b"tradepulse/vault/1", 32)


def fingerprint(key: bytes) -> bytes:
    return hkdf_expand(key, b"fingerprint", 16)


def open_value(key: bytes, partner: str, connection: str, kind: str, version: int, sealed: bytes) -> bytes:
    if len(sealed) < 77 or sealed[0] != 1:
        raise Refused
    nonce, commitment, body, tag = sealed[5:29], sealed[29:61], sealed[61:-16], sealed[-16:]
    material = hkdf_expand(key, b"record" + nonce, 64)
    if material[32:] != commitment:
        raise Refused
    aad = framed(partner.encode(), connection.encode(), kind.encode(), struct.pack(">Q", version), sealed[1:5])
    plaintext, computed = gcm(material[:32], bytes(12), body, aad)
    if computed != tag:
        raise Refused
    return plaintext


# --- AES-256 ---------------------------------------------------------------------------------------


def _xtime(value: int) -> int:
    return ((value << 1) ^ 0x1B) & 0xFF if value & 0x80 else value << 1


def _sbox() -> bytes:
    box, p, q = bytearray(256), 1, 1
    while True:
        p ^= _xtime(p)
        for shift in (1, 2, 4):
            q ^= (q << shift) & 0xFF
        if q & 0x80:
            q ^= 0x09
        rotated = q
        for turn in (1, 2, 3, 4):
            rotated ^= ((q << turn) | (q >> (8 - turn))) & 0xFF
        box[p] = rotated ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return bytes(box)


_S = _sbox()


def _round_keys(key: bytes) -> list[bytes]:
    words, constant = [key[i : i + 4] for i in range(0, 32, 4)], 1
    while len(words) < 60:
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes(_S[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _xtime(constant)
        elif len(words) % 8 == 4:
            word = bytes(_S[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word, strict=True)))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def aes_block(key: bytes, block: bytes) -> bytes:
    keys = _round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number, round_key in enumerate(keys[1:], start=1):
        state = [_S[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 14:
            mixed = []
            for column in range(0, 16, 4):
                a = state[column : column + 4]
                whole = a[0] ^ a[1] ^ a[2] ^ a[3]
                mixed += [a[i] ^ whole ^ _xtime(a[i] ^ a[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_key, strict=True)]
    return bytes(state)


# --- GCM -------------------------------------------------------------------------------------------

_R = 0xE1 << 120


def multiply(x: int, y: int) -> int:
    """In GF(2^128) with GCM's bit order."""
    product = 0
    for bit in range(127, -1, -1):
        if (x >> bit) & 1:
            product ^= y
        y = (y >> 1) ^ _R if y & 1 else y >> 1
    return product


def invert(x: int) -> int:
    """x^(2^128 - 2): the inverse in the field."""
    result, power = 1 << 127, x
    for _ in range(127):
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def padded_blocks(data: bytes) -> list[int]:
    data += bytes(-len(data) % 16)
    return [int.from_bytes(data[i : i + 16]) for i in range(0, len(data), 16)]


def ghash(h: int, aad: bytes, body: bytes) -> int:
    lengths = struct.pack(">QQ", 8 * len(aad), 8 * len(body))
    digest = 0
    for block in [*padded_blocks(aad), *padded_blocks(body), int.from_bytes(lengths)]:
        digest = multiply(digest ^ block, h)
    return digest


def key_stream(key: bytes, nonce: bytes, length: int) -> bytes:
    blocks = (length + 15) // 16
    return b"".join(aes_block(key, nonce + struct.pack(">I", 2 + i)) for i in range(blocks))[:length]


def gcm(key: bytes, nonce: bytes, body: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """The decrypted body and the tag that it should have had."""
    h = int.from_bytes(aes_block(key, bytes(16)))
    mask = int.from_bytes(aes_block(key, nonce + b"\x00\x00\x00\x01"))
    tag = (ghash(h, aad, body) ^ mask).to_bytes(16)
    return bytes(a ^ b for a, b in zip(body, key_stream(key, nonce, len(body)), strict=True)), tag
