"""Where a bundle is published: what every kind of place has in common, and which kind an address names.

    /var/lib/bundles                     a directory, which some web server serves     (directory.py)
    https://policy.example/iam           a web server that takes PUT                   (http_target.py)
    oci://registry.example/iam/policy:prod   a tag in an OCI registry                  (oci_target.py)

`http://` and `oci+http://` are for the loopback interface, because a bearer token goes with the
request. Whatever the place, a reader sees the old bundle or the new one, never half of either.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """What is published now. `version` names it to the place: an ETag, a digest, or nothing."""

    content: bytes
    version: str | None = None


class Target(Protocol):
    """A place that holds one bundle. Methods raise PublishFailed; nothing is half done after it."""

    @property
    def name(self) -> str:
        """The place as a message names it; holds no credential."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep other publishers away, where the place can be locked at all."""

    def read(self) -> Found | None:
        """What is published, None if nothing is."""

    def replace(self, content: bytes, revision: str, before: Found | None) -> None:
        """Switch from `before` to `content` in one step. Raises Overtaken if something else is there by now."""
