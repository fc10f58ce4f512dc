"""A platform's own token proves who admin-sync is, where no secret should exist (RFC 7523)."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from admin_sync.errors import Misconfigured
from admin_sync.keycloak.connection import Connection
from admin_sync.keycloak.problems import NotAllowed
from admin_sync.settings import settings
from tests.conftest import Stack

REACHED = {"ADMIN_SYNC_KEYCLOAK_URL": "https://sso.example.test", "ADMIN_SYNC_CLIENT_ID": "admin-sync"}


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.touch(mode=mode)
    path.write_text(text)
    return str(path)


def test_an_assertion_is_used_instead_of_a_secret_and_read_anew_each_time(tmp_path: Path) -> None:
    place = tmp_path / "assertion"
    account = settings({**REACHED, "ADMIN_SYNC_CLIENT_ASSERTION_FILE": written(place, "first\n")}).account()
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert account.credential() == {"client_assertion_type": kind, "client_assertion": "first"}
    place.write_text("second\n")
    assert account.credential()["client_assertion"] == "second"


def test_without_either_the_settings_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="ADMIN_SYNC_CLIENT_SECRET_FILE"):
        settings(REACHED).account()
    readable = written(tmp_path / "assertion", "canary")
    (tmp_path / "assertion").chmod(0o644)
    with pytest.raises(Misconfigured, match="others can read") as caught:
        settings({**REACHED, "ADMIN_SYNC_CLIENT_ASSERTION_FILE": readable}).account().credential()
    assert "canary" not in str(caught.value)


@pytest.mark.integration
def test_keycloak_takes_an_assertion_that_the_client_key_signed_and_no_other(stack: Stack, tmp_path: Path) -> None:
    """The vault's client stands in for a workload: what is sent is the same, only who vouches differs."""
    own = ECKey.import_key(stack.layout.secret("client-vault-api.pem").read_text())
    realm = stack.env["TRADEPULSE_ISSUER"].rpartition("/")[2]
    for number, (key, taken) in enumerate(((own, True), (ECKey.generate_key("P-256"), False))):
        key.ensure_kid()
        now = int(time.time())
        claims = {
            "iss": "vault-api", "sub": "vault-api", "aud": stack.env["TRADEPULSE_ISSUER"],
            "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60,
        }  # fmt: skip
        assertion = jwt.encode({"alg": "ES256", "kid": own.thumbprint()}, claims, key)
        environment = {
            **stack.env,
            "ADMIN_SYNC_REALM": realm,
            "ADMIN_SYNC_CLIENT_ID": "vault-api",
            "ADMIN_SYNC_CLIENT_ASSERTION_FILE": written(tmp_path / f"assertion{number}", assertion),
        }
        connection = Connection(settings(environment).account(), timeout=10)
        if taken:
            assert abs(connection.time() - time.time()) < 60
        else:
            with pytest.raises(NotAllowed, match="secret or assertion"):
                connection.time()
