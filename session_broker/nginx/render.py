"""The text of nginx.conf for a site. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Iterable

from session_broker.nginx import parts
from session_broker.nginx.routes import BROKER, IDENTITY, PAGES, Route, routes, workspace_routes
from session_broker.nginx.site import Site, Upstream

HEALTH = "/health/live"
"""The proxy's own sign of life."""

CLIENT = "proxy_set_header X-TradePulse-Client-IP $remote_addr;"
"""Who calls, for the session broker's audit lines."""


BESIDE = {"X-TradePulse-Token": "$beside_new", "X-TradePulse-Legacy-Token": "$beside_legacy"}
"""In a migration: what the session broker has the upstream get beside `Authorization`, and in which variable."""

NOTICES = {"Deprecation": "$notice_deprecation", "Sunset": "$notice_sunset"}
"""In a migration: what the session broker has the client told. Empty otherwise, and an empty header is not sent."""


def render(site: Site) -> str:
    """The whole configuration, to be run as `nginx -p <directory> -c <file>` in the foreground."""
    blocks = [
        "# Made by `python -m session_broker.nginx`. Change the table of routes, not this file.",
        "daemon off;",
        "pid nginx.pid;",
        f"worker_processes {site.workers or 'auto'};",
        "worker_shutdown_timeout 10s;",
        # Lower levels quote the whole request, with the codes in its query; the access log says what went wrong.
        "error_log stderr crit;",
        "events { worker_connections 4096; }",
        *_block("http", _http(site)),
    ]
    return "\n".join(blocks) + "\n"


def upstreams(site: Site) -> dict[str, Upstream]:
    """Every server behind the proxy, by its name in the configuration."""
    found = {BROKER: site.broker, **site.services}
    if site.identity is not None:
        found[IDENTITY] = site.identity
    if site.workspace is not None:
        found[PAGES] = site.workspace
    return found


def _http(site: Site) -> list[str]:
    lines = parts.http(site)
    for name, target in upstreams(site).items():
        lines += parts.upstream(name, target)
    return lines + _stranger(site) + _server(site) + (_pages(site) if site.workspace is not None else [])


def _stranger(site: Site) -> list[str]:
    """Whoever asks for a name that is not ours, or for none."""
    inside = [f"listen {site.listen} default_server{_secure(site)};", 'server_name "";']
    if site.tls:
        # Without a certificate of ours for that name there is nothing to talk about.
        inside += ["ssl_reject_handshake on;", *parts.tls(site)]
    inside += ["default_type application/problem+json;", parts.WRONG_HOST]
    return _block("server", inside)


def _server(site: Site) -> list[str]:
    inside = [
        f"listen {site.listen}{_secure(site)};",
        f"server_name {' '.join(site.names)};",
        *_certificate(site),
        *parts.tls(site),
        *parts.server(site),
        *_block(f"location = {HEALTH}", [*parts.headers(site), "access_log off;", 'return 200 \'{"status":"ok"}\';']),
        *_block("location /", [*parts.headers(site), parts.NOT_FOUND]),
        *parts.named(site),
    ]
    for name in site.services:
        inside += _check(site, name)
    for route in routes(site):
        inside += _block(f"location {route.match}", _route(site, route))
    return _block("server", inside)


def _pages(site: Site) -> list[str]:
    """The workspace's own host."""
    inside = [
        f"listen {site.listen}{_secure(site)};",
        f"server_name {' '.join(site.workspace_names)};",
        *_certificate(site),
        *parts.tls(site),
        *parts.server(site),
        *_block("location /", [*parts.headers(site), parts.NOT_FOUND]),
        *parts.named(site),
    ]
    for route in workspace_routes():
        inside += _block(f"location {route.match}", _route(site, route))
    return _block("server", inside)


def _certificate(site: Site) -> list[str]:
    if site.tls is None:
        return []
    return [f"ssl_certificate {site.tls.certificate};", f"ssl_certificate_key {site.tls.key};"]


def _check(site: Site, service: str) -> list[str]:
    """The question to the session broker: whose token is this, and what may go on to this service?"""
    inside = [
        "internal;",
        *parts.forward(BROKER, site.broker, path="/authorize"),
        "proxy_method GET;",
        "proxy_pass_request_body off;",
        'proxy_set_header Content-Length "";',
        *parts.ours(),
        CLIENT,
        "proxy_set_header Authorization $http_authorization;",
        f"proxy_set_header X-TradePulse-Service {service};",
        "proxy_connect_timeout 2s;",
        "proxy_send_timeout 5s;",
        f"proxy_read_timeout {site.limits.check_seconds}s;",
        *_buffers(),
    ]
    return _block(f"location = {_question(service)}", inside)


def _route(site: Site, route: Route) -> list[str]:
    lines = list(parts.ERRORS)
    if route.service:
        lines += [
            # Not `$arg_access_token`, which is the first of several and no condition where it is empty or 0.
            f'if ($args ~* "(?:^|&)access(?:_|%5f)token(?:[=&]|$)") {{ {parts.TOKEN_IN_QUERY} }}',
            f"auth_request {_question(route.service)};",
            "auth_request_set $internal_authorization $upstream_http_x_tradepulse_authorization;",
            "auth_request_set $broker_retry_after $upstream_http_retry_after;",
            *(f"auth_request_set {inner} {_answered(name)};" for name, inner in BESIDE.items()),
            *(f"auth_request_set {inner} {_answered(name)};" for name, inner in NOTICES.items()),
            *parts.CHECKED_ERRORS,
        ]
    lines += [
        f"limit_req zone=requests burst={site.limits.burst} nodelay;",
        *([f"limit_req zone=logins burst={site.limits.login_burst} nodelay;"] if route.logins else []),
        f"limit_conn connections {site.limits.connections};",
        *parts.forward(route.upstream, upstreams(site)[route.upstream]),
        *parts.ours(),
        *(f"proxy_set_header {name} {_variable(name)};" for name in route.headers),
    ]
    if route.service:
        # Empty where the broker gave none, and an empty header is not sent.
        lines.append("proxy_set_header Authorization $internal_authorization;")
        lines += [f"proxy_set_header {name} {inner};" for name, inner in BESIDE.items()]
    if route.upstream == BROKER:
        lines.append(CLIENT)
    if route.upstream == IDENTITY and site.source:
        lines.append(f"proxy_bind {site.source};")
    lines += [
        "proxy_redirect off;",
        "proxy_connect_timeout 2s;",
        "proxy_send_timeout 10s;",
        f"proxy_read_timeout {site.limits.read_seconds}s;",
        *_buffers(),
        *parts.hidden(),
    ]
    if not route.store:
        lines += ["proxy_hide_header Cache-Control;", "proxy_hide_header X-Content-Type-Options;", *parts.headers(site)]
    if route.service:
        lines += [f"add_header {name} {inner} always;" for name, inner in NOTICES.items()]
    return lines


def _buffers() -> Iterable[str]:
    # The head of an answer holds a token or Keycloak's cookies; the usual 4 KiB are too few for many groups.
    return ("proxy_buffer_size 32k;", "proxy_buffers 8 32k;", "proxy_busy_buffers_size 64k;")


def _question(service: str) -> str:
    return f"/_authorize/{service}"


def _variable(header: str) -> str:
    return "$http_" + header.lower().replace("-", "_")


def _answered(header: str) -> str:
    return "$upstream_http_" + header.lower().replace("-", "_")


def _secure(site: Site) -> str:
    return " ssl http2" if site.tls else ""


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"{head} {{", *(f"  {line}" for line in lines), "}"]
