"""Requests over kept-alive connections, many at once: nothing here knows Keycloak.

A run sends hundreds of small requests, and the client shares the machine with the server often
enough, so the processor time of a request matters: `http.client` needs a quarter of what the usual
libraries do. Environment variables choose no proxy (one must not reroute an administrator's token),
redirects are not followed, and TLS trusts what the system trusts (SSL_CERT_FILE, SSL_CERT_DIR).
"""

from __future__ import annotations

import select
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from typing import Final
from urllib.parse import urlsplit

_SAFE: Final = frozenset({"GET"})


class NoAnswer(Exception):
    """No answer came, or not all of one; the request may or may not have taken effect."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Pool:
    """Connections to one server; thread-safe, as many at once as there are callers. Raises ValueError for a bad URL."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL has to begin with https:// or http:// and name a host")
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._timeout = timeout
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """One request and its whole answer. Raises NoAnswer.

        A connection that the server closed while it lay idle is not used; a read that meets one
        closing at that very moment is sent once more, a write is not.
        """
        while True:
            connection, fresh = self._take()
            try:
                connection.request(method, self._base + target, body, dict(headers))
                response = connection.getresponse()
                content = response.read()
            except (RemoteDisconnected, ConnectionResetError, BrokenPipeError) as problem:
                connection.close()
                if fresh or method not in _SAFE:
                    raise NoAnswer(type(problem).__name__) from problem
            except (OSError, HTTPException) as problem:
                connection.close()
                raise NoAnswer(type(problem).__name__) from problem
            except BaseException:
                connection.close()
                raise
            else:
                if response.will_close:
                    connection.close()
                else:
                    with self._lock:
                        self._idle.append(connection)
                named = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, named, content)

    def _take(self) -> tuple[HTTPConnection, bool]:
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if not _closed(connection):
                return connection, False
            connection.close()
        if self._context is None:
            return HTTPConnection(self._host, self._port, timeout=self._timeout), True
        return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context), True


def _closed(connection: HTTPConnection) -> bool:
    """Whether the other side has closed an idle connection, or says something nobody asked for."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
