"""What a bundle says of itself, and how to read that from a published one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from admin_sync.model import Json

CURRENT = "bundle.tar.gz"
PREVIOUS = "bundle.previous.tar.gz"

_LARGEST = 256 * 1024 * 1024
_DATA = "data.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """`data.tradepulse.iam.meta`. `serial` is Unix milliseconds, the other instants are Unix seconds.

    `digest` is over all that decides and not over the time, so that equal digests mean that nothing
    has changed.
    """

    revision: str
    serial: int
    built_at: int
    valid_until: int
    frozen: bool
    emergency_roles: tuple[str, ...]
    digest: str

    def document(self) -> dict[str, Json]:
        """The same as JSON."""
        return {**asdict(self), "emergency_roles": list(self.emergency_roles)}

    @classmethod
    def of(cls, document: Json) -> Meta:
        """Raises ValueError for anything but a complete meta document."""
        kinds = {
            "revision": str, "serial": int, "built_at": int, "valid_until": int,
            "frozen": bool, "emergency_roles": list, "digest": str,
        }  # fmt: skip
        if not isinstance(document, dict) or any(type(document.get(name)) is not kind for name, kind in kinds.items()):
            raise ValueError("no meta document of a TradePulse bundle")
        values = {name: document[name] for name in kinds}
        return cls(**{**values, "emergency_roles": tuple(values["emergency_roles"])})


def read_published(directory: Path) -> Meta | None:
    """What the bundle in `directory` says of itself; None if there is none or it is damaged.

    The signature is OPA's to verify. Whoever can write here can also take the file away, so the
    answer guards against our own mistakes and not against them.
    """
    try:
        return meta_or_none((directory / CURRENT).read_bytes())
    except FileNotFoundError:
        return None


def meta_or_none(archive: bytes) -> Meta | None:
    """What a bundle says of itself; None if it is damaged or something else."""
    try:
        return read_meta(archive)
    except ValueError:
        return None


def read_meta(archive: bytes) -> Meta:
    """The meta document inside a bundle. Raises ValueError if the archive is damaged or of another kind."""
    return Meta.of(read_data(archive).get("meta"))


def read_data(archive: bytes) -> dict[str, Json]:
    """The document at `data.tradepulse.iam`. Raises ValueError if the archive is damaged or of another kind."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                if member.name.lstrip("/") == _DATA and member.size <= _LARGEST:
                    file = tar.extractfile(member)
                    found = json.load(file)["tradepulse"]["iam"] if file else None
                    if isinstance(found, dict):
                        return found
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"not a readable bundle: {error}") from error
    raise ValueError("the bundle has no data")
