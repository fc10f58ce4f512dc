"""What one deployment of the proxy has. Every value is checked: all of it becomes part of a configuration file."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_HOST = re.compile(r"(?:[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*|\[[0-9A-Fa-f:.]+\])\Z")
_REALM = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/-]+\Z")


class SiteRefused(ValueError):
    """A value that cannot be served with, or that could change the configuration it is put into."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server behind the proxy.

    url:       `http://host:port`, or `https://host:port` whose certificate is checked
    authority: PEM file with the certificates that may vouch for an https upstream
    """

    url: str
    authority: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
            raise SiteRefused(f"an upstream is http(s)://host:port and nothing more, not {self.url!r}")
        host, port = address(parts.netloc)
        if not _HOST.match(host) or port == 0:
            raise SiteRefused(f"an upstream is http(s)://host:port, not {self.url!r}")
        if self.secure and self.authority is None:
            # Without it nginx would encrypt to whoever answers.
            raise SiteRefused(f"{self.url}: name the authority whose certificates are believed")
        if self.authority is not None:
            _file(self.authority)

    @property
    def secure(self) -> bool:
        """Whether the way there is TLS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def server(self) -> str:
        """`host:port`."""
        return urlsplit(self.url).netloc

    @property
    def host(self) -> str:
        """The name that an https upstream's certificate must bear."""
        return str(urlsplit(self.url).hostname)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the proxy's own certificate, with its chain, and of its key."""

    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        for path in (self.certificate, self.key):
            _file(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client (an IPv4 address or an IPv6 /64) may do.

    rate, burst:   requests per second, and how many more at once before 429
    connections:   requests under way at once
    logins:        logins that one client begins at the workspace in a second, and `login_burst` more at once
    body:          bytes of a request's body
    header:        bytes of one request header; a bearer token of 16 KiB fits with its name
    read_seconds:  how long a service may think
    check_seconds: how long the session broker may think
    """

    rate: int = 50
    burst: int = 100
    connections: int = 64
    logins: int = 2
    login_burst: int = 30
    body: int = 65_536
    header: int = 20_480
    read_seconds: int = 30
    check_seconds: int = 10

    def __post_init__(self) -> None:
        if any(getattr(self, name) < 1 for name in self.__slots__):
            raise SiteRefused("every limit is at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One proxy.

    names:     host names under which clients reach it; any other is answered with 421
    listen:    `address:port`; without `tls` only a loopback address
    realm:     the one realm whose public pages are reachable; the administration of Keycloak never is
    broker:    the session broker; identity: Keycloak; services: by the name that the broker's access file has
    workspace: the workspace, which has names of its own (`workspace_names`): its cookie belongs to a whole host
    source:    the address that the proxy calls Keycloak from, so that Keycloak believes forwarded addresses of it alone
    balancers: networks of load balancers before the proxy whose `X-Forwarded-For` is believed; none by default
    workers:   processes, 0 for one on each core
    sidecar:   only the services' own routes: beside one service on its host, where nobody asks for tokens
    """

    names: tuple[str, ...]
    listen: str
    broker: Upstream
    services: dict[str, Upstream] = field(default_factory=dict)
    identity: Upstream | None = None
    realm: str = ""
    workspace: Upstream | None = None
    workspace_names: tuple[str, ...] = ()
    source: str = ""
    tls: Tls | None = None
    balancers: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    workers: int = 0
    sidecar: bool = False
    access_log: Path = Path("access.log")

    def __post_init__(self) -> None:
        if not self.names or not all(_HOST.match(name) for name in (*self.names, *self.workspace_names)):
            raise SiteRefused("the proxy needs at least one host name, and only host names")
        if (self.workspace is None) != (not self.workspace_names) or set(self.names) & set(self.workspace_names):
            raise SiteRefused("the workspace and names of its own go together")
        if not all(_NAME.match(name) for name in self.services):
            raise SiteRefused("a service has a lower-case name such as vault")
        host, port = address(self.listen)
        if not (loopback(host) or self.tls) or not 0 < port < 65_536:
            raise SiteRefused(f"{self.listen}: without a certificate the proxy listens on a loopback address only")
        if (self.identity is None) != (not self.realm) or (self.realm and not _REALM.match(self.realm)):
            raise SiteRefused("Keycloak and the name of its one public realm go together")
        for network in self.balancers:
            _network(network)
        if self.source:
            _network(f"{self.source}/{32 if '.' in self.source else 128}")
        if self.sidecar and (self.identity or self.workspace or not self.services):
            raise SiteRefused("a sidecar has services and nothing else")
        if self.workers < 0:
            raise SiteRefused("workers is a number of processes, or 0 for one on each core")
        if self.access_log != Path("access.log"):
            _file(self.access_log)


def address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`, the port 0 if there is none. Raises SiteRefused."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit():
        raise SiteRefused(f"{text!r} is not host:port")
    if not _HOST.match(host):
        raise SiteRefused(f"{text!r} is not host:port")
    return host, int(port)


def loopback(host: str) -> bool:
    """Whether only this host can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _network(text: str) -> None:
    try:
        if "%" in text:
            # Python takes anything for the zone of an IPv6 address, a semicolon too.
            raise ValueError
        ipaddress.ip_network(text)
    except ValueError:
        raise SiteRefused(f"{text!r} is neither an address nor a network") from None


def _file(path: Path) -> None:
    if not _PATH.match(str(path)):
        raise SiteRefused(f"{str(path)!r}: files are named by absolute paths of letters, digits, dots and dashes")
