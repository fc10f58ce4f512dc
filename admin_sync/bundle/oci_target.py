"""A tag in an OCI registry as the place of the bundle, which OPA downloads as an OCI bundle.

The archive is the one layer of an image (`application/vnd.oci.image.layer.v1.tar+gzip`, the media
type that OPA looks for) with an empty configuration. Blobs go first, by digest; the switch is the PUT
of the manifest under its tag, which a registry does at once or not at all (OCI Distribution
Specification 1.1, "Pushing manifests"). That specification has no condition for a tag, so who else
published meanwhile is seen by reading just before and just after, not prevented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from urllib.parse import urlencode, urljoin, urlsplit

from admin_sync.bundle.errors import BadTarget, Overtaken, PublishFailed
from admin_sync.bundle.oci_auth import OciAuth
from admin_sync.bundle.target import Found
from admin_sync.bundle.web import Answer, Web, place, private
from identity.secret import Secret

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY = b"{}"

_PATH = re.compile(
    r"/(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})"
)


class OciTarget:
    """The image `oci://registry/name:tag`; `oci+http://` for one on the loopback interface.

    The credential is `user:password`, or a token that the registry takes as it is.
    """

    def __init__(self, address: str, web: Web, credential: Secret | None) -> None:
        parts = urlsplit(address)
        path = _PATH.fullmatch(parts.path)
        if path is None or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise BadTarget("an OCI target is written as oci://registry.example/team/policy:tag")
        base = f"{'http' if parts.scheme == 'oci+http' else 'https'}://{parts.netloc}"
        if not private(base):
            raise BadTarget(f"{parts.netloc}: use oci://; oci+http:// is for the loopback interface")
        self._base = f"{base}/v2/{path['name']}"
        self._tag = path["tag"]
        self._name = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._web = web
        self._auth = OciAuth(web, base, path["name"], credential)

    @property
    def name(self) -> str:
        """The reference."""
        return self._name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A registry has no lock."""
        yield

    def read(self) -> Found | None:
        """The bundle that the tag names, None where there is no such tag or no bundle behind it."""
        answer = self._send("GET", self._at_tag(), {"Accept": MANIFEST})
        if answer.status == 404:
            return None
        self._expect(answer, "GET", {200})
        digest = f"sha256:{sha256(answer.body).hexdigest()}"
        layer = _layer(answer.body)
        if layer is None:
            return Found(b"", digest)
        blob = self._send("GET", f"{self._base}/blobs/{layer}", {}, redirects=True)
        self._expect(blob, "GET", {200})
        whole = f"sha256:{sha256(blob.body).hexdigest()}" == layer
        return Found(blob.body if whole else b"", digest)

    def replace(self, content: bytes, revision: str, before: Found | None) -> None:
        """Push both blobs, then move the tag. Raises Overtaken and PublishFailed."""
        self._push(_EMPTY)
        self._push(content)
        wanted = manifest(content, revision)
        digest = f"sha256:{sha256(wanted).hexdigest()}"
        if self._tagged() not in {None if before is None else before.version, digest}:
            raise self._overtaken(revision)
        answer = self._send("PUT", self._at_tag(), {"Content-Type": MANIFEST}, wanted)
        self._expect(answer, "PUT", {201})
        if self._tagged() != digest:
            raise self._overtaken(revision)

    def _push(self, content: bytes) -> None:
        digest = f"sha256:{sha256(content).hexdigest()}"
        known = self._send("HEAD", f"{self._base}/blobs/{digest}", {}, redirects=True)
        if known.status == 200:
            return
        begun = self._send("POST", f"{self._base}/blobs/uploads/", {}, b"")
        self._expect(begun, "POST", {202})
        where = urljoin(begun.url, begun.headers.get("location", ""))
        if not private(where):
            raise PublishFailed(f"{self._name}: the registry wants the upload without TLS, at {place(where)}")
        where += ("&" if urlsplit(where).query else "?") + urlencode({"digest": digest})
        # The storage behind a registry authorises an upload by its address; ours is for the registry alone.
        ours = urlsplit(where).netloc == urlsplit(self._base).netloc
        headers = {"Content-Type": "application/octet-stream"}
        send = self._send if ours else self._web_send
        self._expect(send("PUT", where, headers, content), "PUT", {201})

    def _tagged(self) -> str | None:
        answer = self._send("GET", self._at_tag(), {"Accept": MANIFEST})
        if answer.status == 404:
            return None
        self._expect(answer, "GET", {200})
        return f"sha256:{sha256(answer.body).hexdigest()}"

    def _at_tag(self) -> str:
        return f"{self._base}/manifests/{self._tag}"

    def _send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None = None, *, redirects: bool = False
    ) -> Answer:
        answer = self._web_send(method, url, {**headers, **self._auth.header()}, content, redirects=redirects)
        # A storage that the registry redirects to is told nothing, whatever it asks for.
        asked = urlsplit(answer.url).netloc == urlsplit(self._base).netloc
        if answer.status == 401 and asked and self._auth.challenged(answer.headers.get("www-authenticate", "")):
            answer = self._web_send(method, url, {**headers, **self._auth.header()}, content, redirects=redirects)
        return answer

    def _web_send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None = None, *, redirects: bool = False
    ) -> Answer:
        return self._web.send(method, url, headers=headers, content=content, redirects=redirects)

    def _expect(self, answer: Answer, method: str, wanted: set[int]) -> None:
        if answer.status not in wanted:
            hint = "; see ADMIN_SYNC_BUNDLE_TOKEN_FILE" if answer.status in {401, 403} else ""
            raise PublishFailed(
                f"{self._name}: the registry answers {method} with {answer.status}{hint}; "
                "what was published before is still in place"
            )

    def _overtaken(self, revision: str) -> Overtaken:
        return Overtaken(f"somebody else published to {self._name} in the same moment; {revision} is not in place")


def manifest(content: bytes, revision: str) -> bytes:
    """The image manifest of a bundle; the same bytes for the same bundle."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": _CONFIG, **_described(_EMPTY)},
        "layers": [{"mediaType": LAYER, **_described(content)}],
        "annotations": {"org.opencontainers.image.revision": revision},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _described(content: bytes) -> dict[str, str | int]:
    return {"digest": f"sha256:{sha256(content).hexdigest()}", "size": len(content)}


def _layer(body: bytes) -> str | None:
    """The digest of the layer that OPA would load, None if this is no manifest of a bundle."""
    try:
        layers = json.loads(body)["layers"]
        found = next(str(one["digest"]) for one in layers if one["mediaType"] == LAYER)
    except (ValueError, KeyError, TypeError, StopIteration):
        return None
    return found if re.fullmatch(r"sha256:[0-9a-f]{64}", found) else None
