"""A bundle as bytes: the same files give the same archive, whoever packs them, where and when.

Compressed bytes depend on the library that made them (zlib, zlib-ng and Go differ), so nothing is
compressed: the gzip stream (RFC 1952) consists of stored blocks (RFC 1951 section 3.2.4), and every
tar header says the same of its file. OPA asks for the archive only when it has changed, so its size
is paid for seldom.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping

from admin_sync.bundle.errors import SigningFailed

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_BLOCK = 0xFFFF


def packed(files: Mapping[str, bytes]) -> bytes:
    """A `.tar.gz` of `files` (path inside the bundle to content), in the order of their names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o600
            tar.addfile(member, io.BytesIO(files[name]))
    return _stored(out.getvalue())


def unpacked(archive: bytes) -> dict[str, bytes]:
    """The files of an archive that OPA has just made. Raises SigningFailed if it is none."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    files[member.name] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SigningFailed(f"opa build made an archive that cannot be read ({error}), nothing was published") from None
    return files


def _stored(content: bytes) -> bytes:
    parts = [_GZIP_HEADER]
    for start in range(0, max(len(content), 1), _BLOCK):
        block = content[start : start + _BLOCK]
        last = start + _BLOCK >= len(content)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(parts)
