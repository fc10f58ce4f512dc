"""Signed checkpoints: what a chain's head was, in a form that outlives the host.

A checkpoint is a C2SP tlog-checkpoint in a C2SP signed note (https://c2sp.org/signed-note,
https://c2sp.org/tlog-checkpoint): origin, size (the seq of the chain's last line), the line's hash
in base64, a blank line, and an Ed25519 signature. It proves the chain's lines up to that seq to
whoever keeps a copy, even if the file is later cut off or replaced; so copy them off the host.
The hash is the head of a hash chain, not a Merkle root: it has no inclusion proofs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity.audit.chain import Chain, Head
from identity.durable import replace_file

SUFFIX = ".checkpoint"

_ORIGIN = "tradepulse.example/audit"
_ED25519 = b"\x01"
_DASH = "\u2014"


class CheckpointRefused(ValueError):
    """The note is no checkpoint of ours, or its signature is not by the given key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was signed: in the audit file named `file`, `chain` stood at `head`."""

    file: str
    chain: Chain
    head: Head

    @property
    def origin(self) -> str:
        """The name of the log, as the first line of the note; unique to file and chain."""
        parts = (self.file, self.chain.source, self.chain.key)
        return "/".join((_ORIGIN, *(quote(part, safe="") for part in parts)))


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note of a checkpoint."""
    digest = base64.b64encode(bytes.fromhex(checkpoint.head.hash)).decode("ascii")
    text = f"{checkpoint.origin}\n{checkpoint.head.seq}\n{digest}\n"
    signature = _key_id(checkpoint.origin, key.public_key()) + key.sign(text.encode("utf-8"))
    return f"{text}\n{_DASH} {checkpoint.origin} {base64.b64encode(signature).decode('ascii')}\n"


def open_checkpoint(note: str, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint in a note that `key` signed; signatures by others are ignored, as C2SP asks.

    Raises `CheckpointRefused`.
    """
    text, blank, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) < 3 or not signatures.endswith("\n"):
        raise CheckpointRefused("not a signed note")
    origin = lines[0]
    if not any(_signed(line, origin, f"{text}\n", key) for line in signatures[:-1].split("\n")):
        raise CheckpointRefused("not signed by the expected key")
    try:
        prefix, file, source, chain_key = origin.rsplit("/", 3)
        digest = base64.b64decode(lines[2], validate=True)
        seq = int(lines[1])
    except (ValueError, binascii.Error):
        raise CheckpointRefused("not a checkpoint of an audit chain") from None
    if prefix != _ORIGIN or len(digest) != 32 or seq < 1 or str(seq) != lines[1]:
        raise CheckpointRefused("not a checkpoint of an audit chain")
    return Checkpoint(unquote(file), Chain(unquote(source), unquote(chain_key)), Head(seq, digest.hex()))


def write_checkpoint(directory: Path, file: str, chain: Chain, head: Head, key: Ed25519PrivateKey) -> Path:
    """Sign where `chain` stands in the audit file named `file`, durably; returns the note's path.

    Raises `OSError`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = ".".join((file, quote(chain.source, safe=""), quote(chain.key, safe=""), f"{head.seq:012d}")) + SUFFIX
    replace_file(directory / name, sign_checkpoint(Checkpoint(file, chain, head), key).encode())
    return directory / name


def _signed(line: str, origin: str, text: str, key: Ed25519PublicKey) -> bool:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != _DASH or name != origin:
        return False
    try:
        blob = base64.b64decode(encoded, validate=True)
        if blob[:4] != _key_id(origin, key):
            return False
        key.verify(blob[4:], text.encode("utf-8"))
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def _key_id(name: str, key: Ed25519PublicKey) -> bytes:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(name.encode("utf-8") + b"\n" + _ED25519 + raw).digest()[:4]
