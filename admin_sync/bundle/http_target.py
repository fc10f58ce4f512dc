"""A web server that takes PUT as the place of the bundle: WebDAV, object stores, our own `serve.py`.

The switch is the server's: a PUT there replaces the whole file or nothing. `If-Match` (RFC 9110
section 13.1.1) makes it conditional on what we compared with, where the server gives strong ETags;
what is there afterwards is read back in any case, so that a race that the server did not prevent is
at least seen. A reader that meets half a file on a lesser server finds that its signature is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from admin_sync.bundle.errors import BadTarget, Overtaken, PublishFailed
from admin_sync.bundle.published import CURRENT
from admin_sync.bundle.target import Found
from admin_sync.bundle.web import Answer, Web, place, private
from identity.secret import Secret

_LOST = 412
_NEXT = {
    401: "the server does not know the token; see ADMIN_SYNC_BUNDLE_TOKEN_FILE",
    403: "the token may not write there",
    404: "the server has no such place",
    405: "the server does not take PUT there",
    409: "the folder does not exist on the server",
    413: "the server does not take a bundle of this size",
}


class HttpTarget:
    """The file at a URL; a URL that names no `.tar.gz` is a folder and the file is `bundle.tar.gz` in it."""

    def __init__(self, url: str, web: Web, token: Secret | None) -> None:
        if not private(url):
            raise BadTarget(f"{place(url)}: use https; plain http is for the loopback interface")
        self._url = url if url.endswith(".tar.gz") else f"{url.rstrip('/')}/{CURRENT}"
        self._web = web
        self._token = token

    @property
    def name(self) -> str:
        """The URL."""
        return place(self._url)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A web server has no lock; `replace` says what it expects to find instead."""
        yield

    def read(self) -> Found | None:
        """The file that the server has, None for 404. Raises PublishFailed."""
        answer = self._send("GET", {"Cache-Control": "no-cache"})
        if answer.status in {404, 410}:
            return None
        if answer.status != 200:
            raise self._refused("GET", answer)
        etag = answer.headers.get("etag", "")
        # A weak ETag never matches in If-Match (RFC 9110 section 8.8.3.2).
        return Found(answer.body, etag if etag.startswith('"') else None)

    def replace(self, content: bytes, revision: str, before: Found | None) -> None:
        """PUT on the condition that `before` is still there, and look. Raises Overtaken and PublishFailed."""
        condition = {"If-None-Match": "*"} if before is None else {}
        if before is not None and before.version:
            condition = {"If-Match": before.version}
        answer = self._send("PUT", {"Content-Type": "application/gzip", **condition}, content)
        if answer.status not in {200, 201, 204, _LOST}:
            raise self._refused("PUT", answer)
        # After a lost answer the second try fails its condition although the first one did the work.
        now = self.read()
        if now is None or now.content != content:
            raise Overtaken(f"somebody else published to {self.name} in the same moment; {revision} is not in place")

    def _send(self, method: str, headers: dict[str, str], content: bytes | None = None) -> Answer:
        bearer = {} if self._token is None else {"Authorization": f"Bearer {self._token.text()}"}
        return self._web.send(method, self._url, headers={**headers, **bearer}, content=content)

    def _refused(self, method: str, answer: Answer) -> PublishFailed:
        hint = _NEXT.get(answer.status)
        return PublishFailed(
            f"{self.name} answers {method} with {answer.status}"
            f"{'; ' + hint if hint else ''}; what was published before is still in place"
        )
