"""Hostile requests to a real nginx: paths in two readings, smuggled bodies, sizes, rates, TLS; and refused sites."""

from __future__ import annotations

import dataclasses
import datetime
import re
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proxy_world import Recorder, Running, get, nginx, send

from session_broker.nginx.render import render
from session_broker.nginx.settings import ProxySettings
from session_broker.nginx.site import Limits, Site, SiteRefused, Tls, Upstream
from stack.ports import unused

REALM = "tradepulse-dev"
LOOSE = Limits(rate=100_000, burst=100_000, connections=1000)


@dataclasses.dataclass
class Behind:
    """What stands behind the proxy, on recorders."""

    broker: Recorder
    vault: Recorder
    keycloak: Recorder

    def site(self, **more: object) -> Site:
        given = {
            "names": ("localhost",),
            "listen": f"127.0.0.1:{unused()}",
            "broker": Upstream(self.broker.url),
            "services": {"vault": Upstream(self.vault.url)},
            "identity": Upstream(self.keycloak.url),
            "realm": REALM,
            "limits": LOOSE,
            "workers": 1,
        }
        return Site(**{**given, **more})

    def forget(self) -> None:
        for recorder in (self.broker, self.vault, self.keycloak):
            recorder.seen.clear()


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    yes = (204, {"X-TradePulse-Authorization": "Bearer internal"}, b"")
    made = Behind(Recorder(lambda _seen: yes), Recorder(), Recorder())
    yield made
    for recorder in (made.broker, made.vault, made.keycloak):
        recorder.close()


@pytest.fixture(scope="module")
def proxy(behind: Behind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with nginx(behind.site(), tmp_path_factory.mktemp("nginx")) as running:
        yield running


@pytest.mark.parametrize(
    "target",
    [
        "/v1/..%2fadmin",
        "/v1/%2e%2e/admin",
        "/v1/../admin/realms",
        "/v1/./partners",
        "//v1/partners",
        "/v1//partners",
        "/v1/partners;a=b",
        "/v1;/partners",
        "/v1/partners%3fa",
        "/v1/partners%00",
        "/v1/partners%0d%0aX-Evil:1",
        "/v1/%252e%252e/admin",
        "/v1/partners\\..\\admin",
        "/%76%31/partners",
        "/v1/.hidden",
        "/v1/par\u00e9",
        "/v1/partners#fragment",
        "/resources/..%2f..%2fadmin",
        f"/realms/{REALM}/device/..%2f..%2fmaster/account",
        f"/realms/{REALM}/device/../../master/device",
        f"/realms/{REALM}%2fdevice",
        "http://localhost/v1/../admin",
        "http://localhost//admin",
        "*",
        "v1/partners",
    ],
)
def test_a_path_with_two_readings_is_refused(proxy: Running, behind: Behind, target: str) -> None:
    behind.forget()
    reply = get(proxy.port, target)
    assert reply is not None
    assert reply.status == 400
    assert behind.vault.seen == behind.keycloak.seen == behind.broker.seen == []


def test_an_absolute_target_is_read_as_the_path_that_it_has(proxy: Running, behind: Behind) -> None:
    behind.forget()
    reply = get(proxy.port, "http://localhost/v1/partners?a=%2f..")
    assert reply is not None
    assert reply.status == 200
    assert [seen.target for seen in behind.vault.seen] == ["/v1/partners?a=%2f.."]
    assert [seen.all("host") for seen in behind.vault.seen] == [["localhost"]]
    reply = get(proxy.port, "http://evil.example/v1/partners")
    assert reply is not None
    assert reply.status == 421


PIECES = st.sampled_from(
    ["v1", "admin", "realms", REALM, "device", "partners", "token", "resources", "master", "..", ".", "", "/", "//",
     "%2f", "%2F", "%2e", "%5c", "\\", ";", ";a", "%00", "%25", "?", "a", ".well-known", "_authorize", "@", ":"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=8), st.booleans())
def test_what_is_matched_is_what_is_forwarded(proxy: Running, behind: Behind, pieces: list[str], slashed: bool) -> None:
    behind.forget()
    target = "/" + ("/".join(pieces) if slashed else "".join(pieces))
    reply = get(proxy.port, target)
    assert reply is not None
    for seen in behind.vault.seen:
        assert seen.target == target
        path = unquote(seen.target.partition("?")[0])
        assert path.startswith("/v1/")
        assert not re.search(r"/\.{1,2}(?:/|$)|//|;|\\", path)
    for seen in behind.keycloak.seen:
        assert seen.target == target
        assert re.match(rf"/realms/{REALM}/(?:\.well-known|broker|device|login-actions|protocol)|/resources/",
                        target)  # fmt: skip
    if reply.status == 400:
        assert behind.vault.seen == behind.keycloak.seen == []


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "MOVE", "get", "PURGE"])
def test_a_method_that_nothing_here_has_is_refused(proxy: Running, behind: Behind, method: str) -> None:
    behind.forget()
    reply = get(proxy.port, "/v1/partners", method=method)
    assert reply is not None
    assert reply.status in (400, 405)
    assert behind.vault.seen == []


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Content-Length: 4", "Content-Length: 5"),
        ("Content-Length: +4",),
        ("Content-Length: 4, 5",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Host: evil.example",),
    ],
)
def test_a_body_that_could_end_in_two_places_is_refused(proxy: Running, behind: Behind, lines: tuple[str, ...]) -> None:
    behind.forget()
    head = "\r\n".join(["POST /v1/partners HTTP/1.1", "Host: localhost", "Connection: close", *lines])
    reply = send(proxy.port, head, b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert reply is not None
    assert reply.status in (400, 501)
    assert [seen.target for seen in behind.vault.seen] in ([], ["/v1/partners"])
    assert all(seen.target != "/admin" for seen in (*behind.vault.seen, *behind.keycloak.seen))


def test_a_service_gets_a_chunked_body_whole_and_counted(proxy: Running, behind: Behind) -> None:
    behind.forget()
    head = "POST /v1/partners HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked"
    send(proxy.port, head, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert [(seen.body, seen.all("content-length"), seen.all("transfer-encoding")) for seen in behind.vault.seen] == [
        (b"abcde", ["5"], [])
    ]


def test_a_body_over_the_limit_is_refused_before_anybody_reads_it(proxy: Running, behind: Behind) -> None:
    behind.forget()
    head = "POST /v1/partners HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 65537"
    reply = send(proxy.port, head)
    assert reply is not None
    assert (reply.status, reply.all("content-type")) == (413, ["application/problem+json"])
    assert behind.vault.seen == []


def test_a_token_of_sixteen_kibibytes_fits_both_ways_and_a_larger_header_does_not(
    proxy: Running, behind: Behind
) -> None:
    behind.forget()
    long = "Bearer " + "a" * 16_384
    behind.broker.answer = lambda _seen: (204, {"X-TradePulse-Authorization": "Bearer " + "b" * 16_384}, b"")
    try:
        reply = get(proxy.port, "/v1/partners", f"Authorization: {long}")
        assert reply is not None
        assert reply.status == 200
        assert behind.broker.seen[0].all("authorization") == [long]
        assert behind.vault.seen[0].all("authorization") == ["Bearer " + "b" * 16_384]
        larger = get(proxy.port, "/v1/partners", "Authorization: Bearer " + "a" * 32_768)
        assert larger is None or larger.status == 400
        assert len(behind.vault.seen) == 1
    finally:
        behind.broker.answer = lambda _seen: (204, {"X-TradePulse-Authorization": "Bearer internal"}, b"")


def test_a_token_in_the_address_is_refused(proxy: Running, behind: Behind) -> None:
    behind.forget()
    for query in (
        "access_token=a",
        "x=1&access_token=a",
        "ACCESS_TOKEN=a",
        "access_token=&access_token=a",
        "access_token=0",
        "access%5Ftoken=a",
    ):
        reply = get(proxy.port, f"/v1/partners?{query}")
        assert reply is not None
        assert reply.status == 400
    assert behind.vault.seen == behind.broker.seen == []


def test_who_asks_too_often_waits_and_the_broker_is_left_alone(behind: Behind, tmp_path: Path) -> None:
    behind.forget()
    site = behind.site(limits=Limits(rate=1, burst=2))
    with nginx(site, tmp_path) as running:
        replies = [get(running.port, "/v1/partners") for _ in range(8)]
    statuses = [reply.status for reply in replies if reply is not None]
    assert statuses[:3] == [200, 200, 200]
    assert statuses.count(429) >= 3
    assert len(behind.broker.seen) == statuses.count(200)
    refused = next(reply for reply in replies if reply is not None and reply.status == 429)
    assert refused.all("retry-after") == ["1"]


def test_a_service_that_is_gone_is_said_and_not_retried(behind: Behind, tmp_path: Path) -> None:
    gone = Recorder(lambda _seen: None)
    with nginx(behind.site(services={"vault": Upstream(gone.url)}), tmp_path) as running:
        reply = get(running.port, "/v1/partners", method="POST")
        assert reply is not None
        assert (reply.status, reply.all("content-type")) == (502, ["application/problem+json"])
        # Whether the first try was done nobody knows, so there is no second.
        assert len(gone.seen) == 1
    gone.close()


def certify(folder: Path) -> Tls:
    """A certificate of its own making for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    tls = Tls(folder / "proxy.crt", folder / "proxy.key")
    tls.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls.key.chmod(0o600)
    return tls


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certify(tmp_path_factory.mktemp("tls"))


def test_with_a_certificate_only_new_tls_and_only_our_name_is_spoken(
    behind: Behind, certificate: Tls, tmp_path: Path
) -> None:
    with nginx(behind.site(tls=certificate), tmp_path) as running:
        for version in ("TLSv1_1", "TLSv1_2", "TLSv1_3"):
            context = ssl.create_default_context(cafile=str(certificate.certificate))
            with warnings.catch_warnings():
                # Python warns of the old version that is tried here on purpose.
                warnings.simplefilter("ignore", DeprecationWarning)
                context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
            # A cipher of TLS 1.1 that this OpenSSL would still offer.
            context.set_ciphers("ALL:@SECLEVEL=0")
            head = "GET /v1/partners HTTP/1.1\r\nHost: localhost\r\nConnection: close"
            if version == "TLSv1_1":
                with pytest.raises(ssl.SSLError):
                    send(running.port, head, tls=context)
                continue
            reply = send(running.port, head, tls=context)
            assert reply is not None
            assert reply.status == 200
            assert reply.all("strict-transport-security") == ["max-age=31536000; includeSubDomains"]
        plain = get(running.port, "/v1/partners")
        assert plain is not None
        assert plain.status == 400
        assert behind.vault.seen[-1].all("x-forwarded-proto") == ["https"]


def test_an_https_upstream_is_believed_only_with_the_right_certificate(
    behind: Behind, certificate: Tls, tmp_path: Path
) -> None:
    behind.forget()
    inner = behind.site(tls=certificate)
    with nginx(inner, tmp_path / "inner"):
        address = f"https://localhost:{inner.listen.rpartition(':')[2]}"
        right = Upstream(address, certificate.certificate)
        other = certify(tmp_path).certificate
        for target, status in ((right, 200), (Upstream(address, other), 502)):
            with nginx(behind.site(services={"vault": target}), tmp_path / f"outer-{status}") as running:
                reply = get(running.port, "/v1/partners")
                assert reply is not None
                assert reply.status == status


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ()},
        {"names": ("a; include /etc/passwd",)},
        {"names": ("evil\n}",)},
        {"listen": "0.0.0.0:80"},
        {"listen": "127.0.0.1"},
        {"listen": "127.0.0.1:99999999"},
        {"realm": ""},
        {"realm": "a/b"},
        {"realm": "master|x"},
        {"source": "127.0.0.1; deny all"},
        {"source": "fe80::1%x; deny all"},
        {"balancers": ("everywhere",)},
        {"balancers": ("fe80::%x; deny all",)},
        {"services": {"va ult": Upstream("http://127.0.0.1:1")}},
        {"access_log": Path("/var/log/a b;")},
        {"workers": -1},
        {"sidecar": True},
    ],
)
def test_a_site_that_could_change_its_configuration_is_refused(behind: Behind, wrong: dict[str, object]) -> None:
    with pytest.raises(SiteRefused):
        behind.site(**wrong)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://127.0.0.1", None),
        ("ftp://127.0.0.1:1", None),
        ("http://127.0.0.1:1/path", None),
        ("http://user@127.0.0.1:1", None),
        ("http://127.0.0.1:1;", None),
        ("https://127.0.0.1:1", None),
        ("HTTPS://127.0.0.1:1", None),
        ("https://127.0.0.1:1", Path("relative.pem")),
    ],
)
def test_an_upstream_is_an_address_and_https_needs_an_authority(url: str, authority: Path | None) -> None:
    with pytest.raises(SiteRefused):
        Upstream(url, authority)


def test_a_sidecar_has_its_service_and_nothing_else(behind: Behind, tmp_path: Path) -> None:
    behind.forget()
    with nginx(behind.site(sidecar=True, identity=None, realm=""), tmp_path) as running:
        statuses = {}
        for path in ("/v1/partners", "/token", "/backchannel-logout", f"/realms/{REALM}/device"):
            reply = get(running.port, path)
            assert reply is not None
            statuses[path.split("/")[1]] = reply.status
    assert statuses == {"v1": 200, "token": 404, "backchannel-logout": 404, "realms": 404}
    assert [seen.all("authorization") for seen in behind.vault.seen] == [["Bearer internal"]]


def test_a_site_can_be_said_in_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PROXY_NAMES": "iam.tradepulse.example",
        "PROXY_LISTEN": "0.0.0.0:443",
        "PROXY_SERVICES": "vault=https://vault.internal:8200,workspace=http://127.0.0.1:8400",
        "PROXY_UPSTREAM_AUTHORITY_FILE": "/etc/tradepulse/ca.pem",
        "PROXY_TLS_CERTIFICATE_FILE": "/etc/tradepulse/proxy.crt",
        "PROXY_TLS_KEY_FILE": "/etc/tradepulse/proxy.key",
        "PROXY_KEYCLOAK_URL": "http://10.0.0.5:8180",
        "PROXY_REALM": "tradepulse-prod",
        "PROXY_BALANCERS": "10.1.0.0/16",
        "PROXY_RATE": "20",
    }.items():
        monkeypatch.setenv(name, value)
    text = render(ProxySettings().site())
    for line in (
        "listen 0.0.0.0:443 ssl http2;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_reject_handshake on;",
        "proxy_ssl_verify on;",
        "location ~ ^/workspace/ {",
        "location ~ ^/realms/tradepulse-prod/login-actions/ {",
        "set_real_ip_from 10.1.0.0/16;",
        "rate=20r/s",
    ):
        assert line in text
    monkeypatch.setenv("PROXY_TLS_KEY_FILE", "")
    monkeypatch.delenv("PROXY_TLS_KEY_FILE")
    with pytest.raises(SiteRefused):
        ProxySettings().site()
