"""A site from environment variables. None holds a secret: nginx itself reads the key that a path names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from session_broker.nginx.site import Limits, Site, SiteRefused, Tls, Upstream

Listed = Annotated[tuple[str, ...], NoDecode]


class ProxySettings(BaseSettings):
    """What an operator sets. Raises pydantic's `ValidationError`, which names the variable."""

    model_config = SettingsConfigDict(env_prefix="PROXY_", extra="ignore", hide_input_in_errors=True, frozen=True)

    listen: str = "127.0.0.1:8280"
    names: Listed = Field(min_length=1)
    """Host names of the proxy, separated by commas."""
    broker_url: str = "http://127.0.0.1:8300"
    services: Listed = Field(default=())
    """`name=http://host:port`, separated by commas; the names are those of the session broker's access file."""
    keycloak_url: str = ""
    realm: str = ""
    workspace_url: str = ""
    workspace_names: Listed = Field(default=())
    """Host names of the workspace, separated by commas; none of them may be one of `names`."""
    source: str = ""
    """The address from which Keycloak is called; give Keycloak the same as `--proxy-trusted-addresses`."""
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    upstream_authority_file: Path | None = None
    """Certificates that may vouch for upstreams reached by https."""
    balancers: Listed = Field(default=())
    """Networks of load balancers whose `X-Forwarded-For` is believed."""
    rate: int = Field(default=50, ge=1, le=1_000_000)
    burst: int = Field(default=100, ge=1, le=1_000_000)
    connections: int = Field(default=64, ge=1, le=65_535)
    logins: int = Field(default=2, ge=1, le=1_000_000)
    workers: int = Field(default=0, ge=0, le=256)
    sidecar: bool = False
    access_log: Path = Path("access.log")

    @field_validator("names", "workspace_names", "services", "balancers", mode="before")
    @classmethod
    def _separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def site(self) -> Site:
        """The site that these settings describe. Raises `SiteRefused`."""
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise SiteRefused("PROXY_TLS_CERTIFICATE_FILE and PROXY_TLS_KEY_FILE go together")
        tls = (
            Tls(self.tls_certificate_file, self.tls_key_file)
            if self.tls_certificate_file and self.tls_key_file
            else None
        )
        return Site(
            names=self.names,
            listen=self.listen,
            broker=self._upstream(self.broker_url),
            services={name: self._upstream(url) for name, url in map(_pair, self.services)},
            identity=self._upstream(self.keycloak_url) if self.keycloak_url else None,
            realm=self.realm,
            workspace=self._upstream(self.workspace_url) if self.workspace_url else None,
            workspace_names=self.workspace_names,
            source=self.source,
            tls=tls,
            balancers=self.balancers,
            limits=Limits(rate=self.rate, burst=self.burst, connections=self.connections, logins=self.logins),
            workers=self.workers,
            sidecar=self.sidecar,
            access_log=self.access_log,
        )

    def _upstream(self, url: str) -> Upstream:
        return Upstream(url, self.upstream_authority_file if urlsplit(url).scheme == "https" else None)


def _pair(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not equals:
        raise SiteRefused(f"PROXY_SERVICES: {text!r} is not name=http://host:port")
    return name.strip(), url.strip()
