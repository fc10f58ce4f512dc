"""The job `keys`: every secret once, each holder its own, certificates that clients believe."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store

from identity.secret import read_secret
from stack.compose.authority import LIFE, RENEW, make_authority, make_server
from stack.compose.holders import AUTHORITY, HOLDERS, SERVERS
from stack.compose.keys import MARK, clients_of, make

CONFIGURATION = Path(__file__).resolve().parents[2] / "configs" / "iam"
HOST = "iam.localhost"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROXY_NAMES", HOST)
    for name in ("keys", *HOLDERS):
        (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / name / MARK).touch()
    return tmp_path


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_repetition_changes_nothing(root: Path) -> None:
    assert make(root, CONFIGURATION, host=HOST)
    before = _files(root)
    assert make(root, CONFIGURATION, host=HOST) == []
    assert _files(root) == before


def test_every_holder_has_its_own_files_and_no_others_and_nobody_else_can_read_them(root: Path) -> None:
    make(root, CONFIGURATION, host=HOST)
    for holder, names in HOLDERS.items():
        found = {name.split("/")[0] for name in _files(root / holder)} - {MARK}
        assert found == {AUTHORITY, *names}, holder
        for path in (root / holder).rglob("*"):
            if path.is_file() and path.name != MARK:
                assert read_secret(path, name=holder).reveal()


def test_only_the_job_itself_has_the_authoritys_key(root: Path) -> None:
    make(root, CONFIGURATION, host=HOST)
    assert (root / "keys" / "ca.key").exists()
    assert [holder for holder in HOLDERS if (root / holder / "ca.key").exists()] == []


def test_every_confidential_client_has_a_pair_whose_public_half_alone_goes_to_admin_sync(root: Path) -> None:
    make(root, CONFIGURATION, host=HOST)
    published = {path.stem for path in (root / "admin-sync" / "clients").iterdir()}
    assert published == set(clients_of(CONFIGURATION)) >= {"vault-api", "session-broker"}
    assert not any(b'"d"' in content for content in _files(root / "admin-sync" / "clients").values())


def test_what_a_holder_needs_no_longer_is_taken_away(root: Path) -> None:
    make(root, CONFIGURATION, host=HOST)
    (root / "proxy" / "kms.json").write_text("left over")
    assert make(root, CONFIGURATION, host=HOST) == ["proxy/kms.json (removed)"]
    assert not (root / "proxy" / "kms.json").exists()


def test_what_an_operator_provides_takes_the_place_of_what_was_made(root: Path, tmp_path: Path) -> None:
    make(root, CONFIGURATION, host=HOST)
    own = tmp_path / "provided"
    own.mkdir()
    (own / "README.md").write_text("not a secret")
    (own / "idp-workforce").write_text("from the provider\n")
    done = make(root, CONFIGURATION, host=HOST, provided=own)
    assert "idp-workforce as provided" in done
    assert (root / "admin-sync" / "idp-workforce").read_text() == "from the provider\n"
    assert make(root, CONFIGURATION, host=HOST, provided=own) == []


def test_a_provided_file_that_no_service_has_stops_the_job(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "provided"
    own.mkdir()
    (own / "idp-workfroce").write_text("a slip")
    with pytest.raises(ValueError, match="idp-workfroce is no file that a service has"):
        make(root, CONFIGURATION, host=HOST, provided=own)


def test_certificates_are_believed_for_their_names_and_no_others(root: Path) -> None:
    make(root, CONFIGURATION, host=HOST)
    authority = x509.load_pem_x509_certificate((root / "keys" / AUTHORITY).read_bytes())
    policy = PolicyBuilder().store(Store([authority]))
    for server, names in {
        "proxy": (HOST, "proxy.dmz"),
        "keycloak": (HOST, "keycloak.inside", "keycloak.dmz"),
        "postgres": ("postgres.inside",),
        "opa": ("opa.inside",),
    }.items():
        leaf = x509.load_pem_x509_certificate((root / "keys" / f"{server}.crt").read_bytes())
        for name in names:
            assert policy.build_server_verifier(x509.DNSName(name)).verify(leaf, [])
        with pytest.raises(x509.verification.VerificationError):
            policy.build_server_verifier(x509.DNSName("elsewhere.example")).verify(leaf, [])
    for holder, server in (("postgres", "postgres"), ("proxy", "proxy")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(root / holder / f"{server}.crt", root / holder / f"{server}.key")


def test_an_operators_certificates_stay_and_no_authority_of_ours_is_made(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "provided"
    own.mkdir()
    make_authority(own / AUTHORITY, tmp_path / "their.key")
    for server in SERVERS:
        names = [f"{server}.inside", f"{server}.dmz", HOST]
        make_server(own, server, names, (own / AUTHORITY, tmp_path / "their.key"))
    make(root, CONFIGURATION, host=HOST, provided=own)
    assert (root / "proxy" / "proxy.crt").read_bytes() == (own / "proxy.crt").read_bytes()
    assert (root / "vault" / AUTHORITY).read_bytes() == (own / AUTHORITY).read_bytes()
    assert not (root / "keys" / "ca.key").exists()


def test_some_certificates_of_an_operator_are_refused_with_what_is_missing(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "provided"
    own.mkdir()
    make_authority(own / AUTHORITY, tmp_path / "their.key")
    with pytest.raises(ValueError, match=r"keycloak\.crt.* are not there"):
        make(root, CONFIGURATION, host=HOST, provided=own)


def test_a_certificate_without_the_name_that_clients_ask_for_is_refused(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "provided"
    own.mkdir()
    make_authority(own / AUTHORITY, tmp_path / "their.key")
    for server in SERVERS:
        make_server(own, server, [f"{server}.inside", f"{server}.dmz"], (own / AUTHORITY, tmp_path / "their.key"))
    with pytest.raises(ValueError, match=f"does not bear {HOST}"):
        make(root, CONFIGURATION, host=HOST, provided=own)


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, Path]:
    pair = (tmp_path / "ca.pem", tmp_path / "ca.key")
    make_authority(*pair)
    return pair


def test_a_certificate_is_made_again_before_it_ends_and_not_sooner(
    tmp_path: Path, authority: tuple[Path, Path]
) -> None:
    begin = datetime.now(UTC)
    soon = begin + LIFE - RENEW
    assert make_server(tmp_path, "opa", ["opa.inside"], authority, now=begin)
    assert not make_server(tmp_path, "opa", ["opa.inside"], authority, now=soon - timedelta(days=1))
    assert make_server(tmp_path, "opa", ["opa.inside"], authority, now=soon + timedelta(days=1))


def test_a_certificate_is_made_again_for_another_name(tmp_path: Path, authority: tuple[Path, Path]) -> None:
    make_server(tmp_path, "proxy", ["old.example"], authority)
    assert make_server(tmp_path, "proxy", ["new.example"], authority)


def test_a_run_that_was_killed_between_key_and_certificate_is_mended(
    tmp_path: Path, authority: tuple[Path, Path]
) -> None:
    make_server(tmp_path, "opa", ["opa.inside"], authority)
    make_server(tmp_path, "other", ["other.inside"], authority)
    (tmp_path / "opa.key").write_bytes((tmp_path / "other.key").read_bytes())
    assert make_server(tmp_path, "opa", ["opa.inside"], authority)
    leaf = x509.load_pem_x509_certificate((tmp_path / "opa.crt").read_bytes())
    key = load_pem_private_key((tmp_path / "opa.key").read_bytes(), password=None)
    assert leaf.public_key() == key.public_key()


def test_the_authority_is_made_once(tmp_path: Path, authority: tuple[Path, Path]) -> None:
    before = authority[0].read_bytes()
    make_authority(*authority)
    assert authority[0].read_bytes() == before
