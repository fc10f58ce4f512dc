"""A real nginx on a rendered site, servers behind it that write down what reaches them, and raw requests to it."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from session_broker.nginx.render import render
from session_broker.nginx.site import Site

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Seen:
    """One request as it arrived: the target as sent, and every header line, names in lower case."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    @property
    def names(self) -> set[str]:
        return {key for key, _ in self.headers}


Answer = tuple[int, dict[str, str], bytes] | None
"""Status, headers and body; None hangs up without a word."""


@dataclass
class Recorder:
    """A server on loopback that keeps what it is asked and answers what it is told to."""

    answer: Callable[[Seen], Answer] = lambda _seen: (200, {}, b"{}")
    seen: list[Seen] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening and hang up: what is killed does both."""
        # A thread in accept() keeps the socket listening until it is woken.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            with _quietly():
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with _quietly():
            while True:
                connection, peer = self._socket.accept()
                self.peers.append(peer[0])
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with _quietly(), connection, connection.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                self.seen.append(request)
                told = self.answer(request)
                if told is None:
                    break
                status, headers, body = told
                lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
                if status != 204:
                    lines.append(f"Content-Length: {len(body)}")
                connection.sendall("\r\n".join(lines).encode() + HEAD_END + (b"" if status == 204 else body))
        self._open.discard(connection)


def _read(stream: object) -> Seen | None:
    first = stream.readline().decode("latin-1").rstrip("\r\n")
    if not first:
        return None
    method, target, _ = first.split(" ", 2)
    headers = []
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Seen(method, target, headers, stream.read(length))


@contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except OSError:
        # The other side went away, which is what some of these tests are about.
        return


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]


def send(port: int, head: str | bytes, body: bytes = b"", *, tls: ssl.SSLContext | None = None) -> Reply | None:
    """Send exactly these bytes; `head` is a request without its empty line. None if the server only hangs up."""
    raw = head.encode("latin-1") if isinstance(head, str) else head
    with socket.create_connection(("127.0.0.1", port), timeout=15) as plain:
        connection = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        connection.sendall(raw + HEAD_END + body)
        with connection.makefile("rb") as stream:
            first = stream.readline().decode("latin-1")
            if not first:
                return None
            headers = []
            while line := stream.readline().decode("latin-1").rstrip("\r\n"):
                name, _, value = line.partition(":")
                headers.append((name.lower(), value.strip()))
            length = next((int(value) for name, value in headers if name == "content-length"), None)
            return Reply(int(first.split()[1]), headers, stream.read(length) if length is not None else stream.read())


def get(port: int, target: str, *lines: str, method: str = "GET", host: str = "localhost") -> Reply | None:
    """A request with these further header lines, closed afterwards."""
    return send(port, "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]))


@dataclass(frozen=True)
class Running:
    port: int
    folder: Path
    text: str

    def log(self) -> str:
        """All that nginx wrote, once its buffered lines are out."""
        time.sleep(1.2)
        return "".join(path.read_text() for path in (self.folder / "access.log", self.folder / "stderr"))


@contextmanager
def nginx(site: Site, folder: Path) -> Iterator[Running]:
    """A real nginx that serves `site`, ended afterwards."""
    assert NGINX, "nginx is not installed (Debian: nginx-light)"
    folder.mkdir(parents=True, exist_ok=True)
    text = render(site)
    file = folder / "nginx.conf"
    file.write_text(text)
    with (folder / "stderr").open("wb") as output:
        process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(file)], stdout=output, stderr=output)
    port = int(site.listen.rpartition(":")[2])
    try:
        until = time.monotonic() + 10
        while not _listens(port):
            assert process.poll() is None, (folder / "stderr").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        yield Running(port, folder, text)
    finally:
        process.terminate()
        process.wait(timeout=15)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Block:
    """A block of the configuration, read independently of who wrote it."""

    head: tuple[str, ...]
    directives: list[tuple[str, ...]]
    blocks: list[Block]

    def values(self, name: str) -> list[tuple[str, ...]]:
        return [words[1:] for words in self.directives if words[0] == name]

    def walk(self) -> Iterator[Block]:
        yield self
        for block in self.blocks:
            yield from block.walk()


_WORD = re.compile(r"""\s+|\#[^\n]*|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([{};])|([^\s{};"']+)""")


def parse(text: str) -> Block:
    """nginx's configuration language, as far as it is words, `;` and braces."""
    root = Block(("main",), [], [])
    open_blocks, words, at = [root], [], 0
    while at < len(text):
        found = _WORD.match(text, at)
        assert found, text[at : at + 40]
        at = found.end()
        double, single, mark, bare = found.groups()
        if mark == ";":
            open_blocks[-1].directives.append(tuple(words))
            words = []
        elif mark == "{":
            block = Block(tuple(words), [], [])
            open_blocks[-1].blocks.append(block)
            open_blocks.append(block)
            words = []
        elif mark == "}":
            open_blocks.pop()
        elif any(part is not None for part in (double, single, bare)):
            words.append(next(part for part in (double, single, bare) if part is not None))
    assert open_blocks == [root]
    return root
