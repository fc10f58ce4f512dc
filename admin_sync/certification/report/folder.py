"""The four files of the evidence, written as a whole and verified one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from admin_sync.certification.report import envelope
from admin_sync.certification.report.page import page
from admin_sync.certification.report.text import markdown
from admin_sync.errors import Refused
from admin_sync.model import Json
from identity.durable import replace_file, sync_directory

ENVELOPE: Final = "evidence.dsse.json"
REPORTS: Final = ("report.json", "report.md", "report.html")
LARGEST: Final = 256 * 1024 * 1024
"""Bytes of one file. A report of a hundred thousand bindings has less."""


def write(folder: Path, report: Mapping[str, Json], key: Ed25519PrivateKey) -> list[Path]:
    """Write the evidence; the envelope last, so that whoever finds it finds all. Raises OSError.

    Equal reports give equal files, so writing again after a crash changes nothing.
    """
    plain = orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    files = dict(zip(REPORTS, (plain, markdown(report).encode(), page(report).encode()), strict=True))
    about = {"campaign": report["campaign"], "commit": report["commit"], "figures": report["figures"]}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, data in {**files, ENVELOPE: envelope.signed(about, files, key)}.items():
        replace_file(folder / name, data)
    sync_directory(folder)
    return [folder / name for name in (*files, ENVELOPE)]


def verify(folder: Path, key: Ed25519PublicKey) -> dict[str, Json]:
    """What the evidence in a folder is about, once all of it holds. Raises Refused with what does not."""
    statement = _statement(folder, key)
    digests = {str(one["name"]): one["digest"]["sha256"] for one in statement["subject"]}
    if digests.keys() != set(REPORTS):
        raise Refused(f"{folder / ENVELOPE}: it is a statement about other files than {', '.join(REPORTS)}")
    for name, digest in digests.items():
        if hashlib.sha256(_bytes(folder / name)).hexdigest() != digest:
            raise Refused(f"{folder / name}: it is not the file that was signed; take the one from your archive")
    predicate: dict[str, Json] = statement["predicate"]
    return predicate


def _statement(folder: Path, key: Ed25519PublicKey) -> dict[str, Json]:
    try:
        return envelope.opened(_bytes(folder / ENVELOPE), key)
    except envelope.NotEvidence as problem:
        raise Refused(f"{folder / ENVELOPE}: {problem}") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Refused(f"{path}: it is missing; the evidence is four files") from None
    if len(data) > LARGEST:
        raise Refused(f"{path}: it is too large to be evidence of ours")
    return data
