"""The pieces of the configuration that no route differs in."""

from __future__ import annotations

from session_broker.nginx.routes import HIDDEN
from session_broker.nginx.site import Limits, Site, Upstream

CANONICAL = r"^/(?:(?:\.well-known|[A-Za-z0-9_~-][A-Za-z0-9._~-]*+)(?:/|(?=\?|$)))*+(?:\?[\x21\x22\x24-\x7e]*+)?$"
"""A request target that every server reads alike.

Segments of unreserved characters (RFC 3986), none of them empty or beginning with a dot but for `.well-known`, and no
percent sign: what is not encoded cannot be decoded twice, and there is nothing to resolve or to merge.
"""

METHODS = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"

CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""For TLS 1.2; those of TLS 1.3 are all good."""

UPSTREAM_IDLE = 4
"""Seconds. Less than every server behind keeps an idle connection, so none is used that is just being closed."""


def problem(status: int, slug: str, title: str, detail: str) -> str:
    """`return` with a problem (RFC 9457) of the shape that the services have; the trace id is the proxy's own."""
    body = (
        f'{{"type":"urn:tradepulse:problem:{slug}","title":"{title}","status":{status},'
        f'"detail":"{detail}","trace_id":"$request_id"}}'
    )
    return f"return {status} '{body}';"


NOT_FOUND = problem(404, "not-found", "Not found", "Check the address; it may also belong to somebody else.")
BAD_TARGET = problem(
    400, "bad-target", "The address is not in its plain form", "Send the path without encoding, dots or empty parts."
)
TOKEN_IN_QUERY = problem(
    400, "token-in-address", "A token does not belong into an address", "Send it in the Authorization header."
)
BAD_METHOD = problem(405, "method-not-allowed", "Method not allowed", "Use a method that the interface describes.")
WRONG_HOST = problem(421, "misdirected-request", "Not a name of this server", "Check the host name.")

_DOUBT = "It may have done what was asked: look, then repeat."
NAMED = {
    "unauthorized": problem(
        401,
        "unauthorized",
        "Authentication is required",
        "Send a valid access token for this service in the Authorization header.",
    ),
    "forbidden": problem(403, "forbidden", "Not allowed", "Ask for access to this service."),
    "too_large": problem(413, "body-too-large", "The request is too large", "Send a smaller body."),
    "too_many": problem(429, "too-many-requests", "Too many requests", "Wait for Retry-After seconds, then repeat."),
    "unknown": problem(
        503,
        "session-broker-unavailable",
        "Temporarily unavailable",
        "Your token could not be checked right now; repeat the request later.",
    ),
    "broken": problem(502, "bad-gateway", "The service did not answer", _DOUBT),
    "late": problem(504, "gateway-timeout", "The service took too long", _DOUBT),
}
"""Answers of the proxy itself, by the named location that gives them."""

ERRORS = (
    "error_page 413 = @too_large;",
    "error_page 429 = @too_many;",
    "error_page 502 = @broken;",
    "error_page 504 = @late;",
)
CHECKED_ERRORS = (
    "error_page 401 = @unauthorized;",
    "error_page 403 = @forbidden;",
    # nginx says 500 for every answer to its question that is neither yes nor no.
    "error_page 500 = @unknown;",
)


def named(site: Site) -> list[str]:
    """The named locations."""
    lines = []
    for name, answer in NAMED.items():
        extra = {
            "too_many": ["add_header Retry-After 1 always;"],
            "unknown": ["add_header Retry-After $retry_after always;"],
        }.get(name, [])
        lines += [f"location @{name} {{", *_indented([*headers(site), *extra, answer]), "}"]
    return lines


def headers(site: Site) -> list[str]:
    """Headers of answers that are not to be stored. A location inherits none where it has one, so each has all."""
    lines = ["add_header Cache-Control no-store always;", "add_header X-Content-Type-Options nosniff always;"]
    if site.tls:
        lines.append('add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;')
    return lines


def upstream(name: str, target: Upstream) -> list[str]:
    """An upstream with connections that are used again."""
    inside = [
        # One server: to leave it alone after a failure would only make the outage longer.
        f"server {target.server} max_fails=0;",
        "keepalive 64;",
        f"keepalive_timeout {UPSTREAM_IDLE}s;",
    ]
    return [f"upstream {name} {{", *_indented(inside), "}"]


def forward(name: str, target: Upstream, *, path: str = "") -> list[str]:
    """To an upstream, with none of the client's headers; `path` replaces the request's own."""
    scheme = "https" if target.secure else "http"
    lines = [
        f"proxy_pass {scheme}://{name}{path};",
        "proxy_http_version 1.1;",
        "proxy_pass_request_headers off;",
        'proxy_set_header Connection "";',
    ]
    if target.secure:
        lines += [
            "proxy_ssl_verify on;",
            "proxy_ssl_verify_depth 3;",
            "proxy_ssl_server_name on;",
            f"proxy_ssl_name {target.host};",
            f"proxy_ssl_trusted_certificate {target.authority};",
            "proxy_ssl_protocols TLSv1.2 TLSv1.3;",
        ]
    return lines


def ours() -> list[str]:
    """Headers that services believe, since they have them of us alone."""
    return [
        "proxy_set_header Host $host;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header X-Forwarded-Host $host;",
        "proxy_set_header X-Forwarded-Port $server_port;",
        "proxy_set_header traceparent 00-$request_id-$span-01;",
    ]


def hidden() -> list[str]:
    """Headers of answers that end here."""
    return [f"proxy_hide_header {name};" for name in HIDDEN]


def server(site: Site) -> list[str]:
    """What holds for the whole server."""
    return [
        "default_type application/problem+json;",
        f"if ($odd_target) {{ {BAD_TARGET} }}",
        f"if ($odd_method) {{ {BAD_METHOD} }}",
        f"client_max_body_size {site.limits.body};",
        # A body or an answer may hold a token: it stays in memory.
        f"client_body_buffer_size {site.limits.body};",
        "client_body_in_single_buffer on;",
        "proxy_max_temp_file_size 0;",
    ]


def tls(site: Site) -> list[str]:
    """TLS 1.2 and 1.3 with forward secrecy; empty where the proxy listens on loopback without.

    For every server of an address: the protocol is agreed on before nginx knows which name is meant.
    """
    if site.tls is None:
        return []
    return [
        "ssl_protocols TLSv1.2 TLSv1.3;",
        f"ssl_ciphers {CIPHERS};",
        "ssl_prefer_server_ciphers off;",
        "ssl_session_cache shared:tls:10m;",
        "ssl_session_timeout 1d;",
        # A ticket key that lives as long as the process would undo forward secrecy.
        "ssl_session_tickets off;",
    ]


def http(site: Site) -> list[str]:
    """What holds for every server."""
    limits: Limits = site.limits
    lines = [
        "server_tokens off;",
        "default_type application/octet-stream;",
        # Paths only: an authorization code or a session code stands in the query.
        'log_format requests escape=json \'{"time":"$time_iso8601","client":"$remote_addr",'
        '"method":"$request_method","path":"$uri","status":$status,"seconds":$request_time,"bytes":$bytes_sent,'
        '"upstream":"$upstream_addr","upstream_status":"$upstream_status","trace_id":"$request_id"}\';',
        f"access_log {site.access_log} requests buffer=32k flush=1s;",
        "client_body_temp_path body;",
        "proxy_temp_path proxy;",
        "fastcgi_temp_path unused;",
        "uwsgi_temp_path unused;",
        "scgi_temp_path unused;",
        # `X_Tradepulse` and `X-Tradepulse` would be one variable.
        "underscores_in_headers off;",
        "ignore_invalid_headers on;",
        "client_header_buffer_size 4k;",
        f"large_client_header_buffers 4 {limits.header};",
        "client_header_timeout 10s;",
        "client_body_timeout 10s;",
        "send_timeout 10s;",
        "keepalive_timeout 30s;",
        "keepalive_requests 10000;",
        "reset_timedout_connection on;",
        "limit_req_status 429;",
        "limit_conn_status 429;",
        f"limit_req_zone $client zone=requests:10m rate={limits.rate}r/s;",
        f"limit_req_zone $client zone=logins:10m rate={limits.logins}r/s;",
        "limit_conn_zone $client zone=connections:10m;",
        f'map $request_uri $odd_target {{ default 1; "~{CANONICAL}" 0; }}',
        f'map $request_method $odd_method {{ default 1; "~^(?:{METHODS})$" 0; }}',
        # Who has one IPv6 address has the whole /64.
        r'map $binary_remote_addr $client { default $binary_remote_addr; "~^(?s:(?<network>.{8}).{8})$" $network; }',
        'map $request_id $span { default 0000000000000001; "~^(?<half>[0-9a-f]{16})" $half; }',
        'map $broker_retry_after $retry_after { default 1; "~^(?<seconds>[0-9]{1,5})$" $seconds; }',
    ]
    if site.balancers:
        lines += [f"set_real_ip_from {network};" for network in site.balancers]
        lines += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    return lines


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
