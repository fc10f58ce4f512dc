"""Cases 6: a vault that is started without its KMS is sealed and says why; with the KMS away it serves what it can."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kms_world import OpenBao
from rotation_world import release, store
from vault_world import VaultProcess, World, private_file


def kms_check(vault: VaultProcess) -> tuple[int, dict[str, object]]:
    answer = vault.http.get("/health/ready")
    return answer.status_code, answer.json()["checks"]["kms"]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def test_a_vault_without_its_kms_is_sealed_unseals_by_itself_and_outlives_a_short_absence(
    world: World, start_vault: Callable[..., VaultProcess], partner: str, other_partner: str, tmp_path: Path
) -> None:
    bao = OpenBao(tmp_path)
    token = tmp_path / "token"
    vault = start_vault(
        VAULT_KMS="openbao", VAULT_OPENBAO_URL=bao.url, VAULT_OPENBAO_KEY="root", VAULT_KMS_SECONDS="1",
        VAULT_OPENBAO_TOKEN_FILE=str(token), VAULT_KEY_SECONDS="3",
    )  # fmt: skip
    status, check = kms_check(vault)
    assert status == 503
    assert str(check["detail"]).startswith("openbao, root key version 0 sealed: ")
    refused = store(vault, world, partner)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:tradepulse:problem:key-unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    with bao.running():
        bao.call("POST", "transit/keys/root", {"type": "hmac", "key_size": 32})
        private_file(token, bao.token())
        wait_for(lambda: bool(kms_check(vault)[1]["ok"]), "unsealed")
        assert store(vault, world, partner).status_code == 201
        assert release(vault, world, partner).status_code == 200
    # What was derived while it was there serves until its age; nobody new gets a key.
    assert release(vault, world, partner).status_code == 200
    assert store(vault, world, other_partner).status_code == 503
    wait_for(lambda: release(vault, world, partner).status_code == 503, "too old")
    assert not kms_check(vault)[1]["ok"]
    log = vault.logged()
    assert bao.root not in log
    assert token.read_text() not in log
