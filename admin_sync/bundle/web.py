"""HTTP as publishing needs it: verified TLS, a bounded answer, and a few more tries where a server is not well."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from admin_sync.bundle.errors import BadTarget, PublishFailed
from identity.secret import Secret, SecretUnreadable, read_secret

LARGEST = 256 * 1024 * 1024
"""Bytes of an answer; nothing that is published is larger."""

_ATTEMPTS = 4
_PAUSE = 0.25
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Web:
    """Requests to one server. `ca_file` (PEM) is trusted instead of the system's authorities."""

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise BadTarget(f"ADMIN_SYNC_BUNDLE_CA_FILE: {ca_file} is no file of certificates in PEM") from error
        # A proxy of the environment would see the credential and could answer in the server's name.
        self._http = httpx.Client(verify=context, timeout=timeout, trust_env=False)
        self._sleep = sleep

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        redirects: bool = False,
    ) -> Answer:
        """The answer, whatever its status below 500. Raises PublishFailed when there is none after several tries.

        A request may reach the server twice, so whoever changes something looks afterwards at what is there.
        Redirects are followed only where asked for, and then httpx sends no credential to another host.
        """
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE * 2 ** (attempt - 1))
            try:
                answer = self._once(method, url, headers, content, redirects=redirects)
            except (httpx.LocalProtocolError, httpx.InvalidURL):
                # Nothing was sent, and the text may quote the header that could not be: the credential.
                raise PublishFailed(f"{place(url)}: that is no request that can be sent; check the address") from None
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                continue
            if answer.status < 500 and answer.status != 429:
                return answer
            problem = f"it answers {answer.status}"
        raise PublishFailed(f"{place(url)} does not take {method} after {_ATTEMPTS} tries: {problem}")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, redirects: bool
    ) -> Answer:
        with self._http.stream(
            method,
            url,
            # What is compared and digested are the bytes that were published; some servers pack them once more.
            headers={"Accept-Encoding": "identity", **headers},
            content=content,
            follow_redirects=redirects,
        ) as response:
            parts, size = [], 0
            for part in response.iter_bytes():
                size += len(part)
                if size > LARGEST:
                    raise PublishFailed(f"{place(url)} answers with more than {LARGEST} bytes")
                parts.append(part)
            return Answer(
                response.status_code,
                {name.lower(): value for name, value in response.headers.items()},
                b"".join(parts),
                str(response.url),
            )


def place(url: str) -> str:
    """A URL as a message shows it: without query, which may hold what an upload is authorised by."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def private(url: str) -> bool:
    """Whether what is sent to this URL stays secret on its way: TLS, or it does not leave the machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def token(path: Path | None) -> Secret | None:
    """The credential in a file that only we can read. Raises BadTarget."""
    if path is None:
        return None
    name = "ADMIN_SYNC_BUNDLE_TOKEN_FILE"
    try:
        text = read_secret(path, name=name).text().strip()
    except SecretUnreadable as problem:
        raise BadTarget(str(problem)) from None
    except UnicodeDecodeError:
        text = ""
    if not (text and text.isascii() and text.isprintable()):
        raise BadTarget(f"{name}: {path} does not hold one line of ASCII")
    return Secret(text)
