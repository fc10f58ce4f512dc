from __future__ import annotations

import json
import os
import pickle
import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from identity.secret import Secret, SecretUnreadable, read_secret
from identity.settings import IdentitySettings

ENVIRONMENT = {
    "TRADEPULSE_ENVIRONMENT": "dev",
    "TRADEPULSE_ISSUER": "http://localhost:8180/realms/tradepulse-dev",
    "TRADEPULSE_OAUTH2_AUDIENCE": "tradepulse-internal",
    "TRADEPULSE_CLIENTS": "tradepulse, tradepulse-cli,,",
    "TRADEPULSE_NODE": "host-1",
}


@pytest.fixture
def configured(monkeypatch):
    for name in list(os.environ):
        if name.startswith("TRADEPULSE_"):
            monkeypatch.delenv(name)

    def configure(**changes):
        for name, value in {**ENVIRONMENT, **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return IdentitySettings()

    return configure


@pytest.fixture
def secret_file(tmp_path):
    def write(content, mode=0o600, name="secret"):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


def test_the_variables_become_a_token_policy(configured):
    settings = configured()
    policy = settings.token_policy()
    assert policy.issuer == ENVIRONMENT["TRADEPULSE_ISSUER"]
    assert policy.audience == "tradepulse-internal"
    assert policy.environment == "dev"
    assert policy.clients == {"tradepulse", "tradepulse-cli"}
    assert settings.jwks_url == policy.issuer + "/protocol/openid-connect/certs"
    assert settings.token_url == policy.issuer + "/protocol/openid-connect/token"
    assert str(settings.checkpoints_dir) == "observability/audit/checkpoints"


@pytest.mark.parametrize("value", [None, "", " , "])
def test_no_client_list_means_nobody(configured, value):
    assert configured(TRADEPULSE_CLIENTS=value).token_policy().clients == frozenset()


@pytest.mark.parametrize("name", ["TRADEPULSE_ENVIRONMENT", "TRADEPULSE_ISSUER", "TRADEPULSE_OAUTH2_AUDIENCE"])
def test_what_decides_whom_to_trust_has_no_default(configured, name):
    with pytest.raises(ValidationError, match=name):
        configured(**{name: None})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRADEPULSE_ENVIRONMENT", "Dev canary"),
        ("TRADEPULSE_ISSUER", "ftp://canary"),
        ("TRADEPULSE_ISSUER", "https://canary/"),
        ("TRADEPULSE_OPA_URL", "canary"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable_and_not_printed(configured, name, value):
    with pytest.raises(ValidationError) as caught:
        configured(**{name: value})
    assert name in str(caught.value)
    assert "canary" not in str(caught.value).lower()


def test_a_host_name_becomes_a_node_name(configured):
    assert configured(TRADEPULSE_NODE="höst one.example/x").node == "h-st-one.example-x"
    assert configured(TRADEPULSE_NODE=None).node


def test_keys_come_from_files(configured, secret_file):
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings = configured(
        TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE=str(secret_file(pem, name="key")),
        TRADEPULSE_AUDIT_MAC_KEY_FILE=str(secret_file(b"ab" * 32 + b"\n", name="mac")),
    )
    assert settings.audit_checkpoint_key().public_key() == key.public_key()
    assert settings.audit_mac_key() == b"\xab" * 32
    assert "abab" not in repr(settings)


def test_no_key_file_means_no_key(configured):
    settings = configured()
    assert settings.audit_checkpoint_key() is None
    assert settings.audit_mac_key() is None


@pytest.mark.parametrize("content", [b"canary", b"ab" * 31, b"zz" * 32])
def test_a_mac_key_of_another_form_is_refused(configured, secret_file, content):
    settings = configured(TRADEPULSE_AUDIT_MAC_KEY_FILE=str(secret_file(content)))
    with pytest.raises(SecretUnreadable, match="TRADEPULSE_AUDIT_MAC_KEY_FILE") as caught:
        settings.audit_mac_key()
    assert content.decode() not in str(caught.value)


def test_a_checkpoint_key_of_another_kind_is_refused(configured, secret_file):
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (other, b"canary"):
        settings = configured(TRADEPULSE_AUDIT_CHECKPOINT_KEY_FILE=str(secret_file(content)))
        with pytest.raises(SecretUnreadable, match="Ed25519"):
            settings.audit_checkpoint_key()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620, 0o601, 0o777])
def test_a_secret_that_others_could_touch_is_refused(secret_file, mode):
    with pytest.raises(SecretUnreadable, match="chmod 600"):
        read_secret(secret_file(b"value", mode), name="X_FILE")


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize("content", [b"value", b"value\n", b"value\r\n"])
def test_a_private_file_is_read_without_its_last_newline(secret_file, content, mode):
    assert read_secret(secret_file(content, mode), name="X_FILE").reveal() == b"value"


def test_only_one_newline_is_taken_off(secret_file):
    assert read_secret(secret_file(b" value \n\n"), name="X").reveal() == b" value \n"


def test_a_symbolic_link_counts_as_what_it_points_to(secret_file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(secret_file(b"value"))
    assert read_secret(link, name="X").text() == "value"
    link.unlink()
    link.symlink_to(secret_file(b"value", 0o644))
    with pytest.raises(SecretUnreadable):
        read_secret(link, name="X")


def test_what_is_no_plain_file_of_ours_is_refused_at_once(secret_file, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    for path, why in [
        (tmp_path / "absent", "No such file"),
        (tmp_path, "not a regular file"),
        (fifo, "not a regular file"),
        (secret_file(b"", name="empty"), "empty"),
        (secret_file(b"\n", name="newline"), "empty"),
        (secret_file(b"x" * 70_000, name="large"), "larger"),
    ]:
        with pytest.raises(SecretUnreadable, match=why) as caught:
            read_secret(path, name="X_FILE")
        assert "X_FILE" in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_file_of_another_account_is_refused(secret_file, monkeypatch):
    path = secret_file(b"value")
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr("identity.secret.os.geteuid", lambda: 12345)
    with pytest.raises(SecretUnreadable, match="another account"):
        read_secret(path, name="X")


def test_a_secret_shows_itself_nowhere():
    secret = Secret("canary-9")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert not any("canary" in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(ValueError) as caught:
        raise ValueError(secret)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_secrets_compare_by_value_with_secrets_only():
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
