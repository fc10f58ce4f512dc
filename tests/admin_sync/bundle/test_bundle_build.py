"""A bundle is made only from rules whose tests pass, with a key that only its owner can read."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from bundle_workshop import POLICY, Workshop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from admin_sync.bundle.errors import KeyUnusable, OpaMissing, PolicyRed
from admin_sync.bundle.keys import create_key, public_key
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.opa_config import opa_config, render_config
from admin_sync.bundle.published import Meta
from admin_sync.bundle.source import PolicySource

RULE = "package tradepulse.authz\n\nallow := true\n"
TEST = "package tradepulse.authz_test\n\nimport data.tradepulse.authz\n\n"


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def test_a_bundle_says_what_it_is(workshop: Workshop, source: PolicySource) -> None:
    bundle = workshop.build(source, 1795446000.25, validity=3600)
    meta = bundle.meta
    assert (meta.serial, meta.built_at, meta.valid_until) == (1795446000250, 1795446000, 1795449600)
    assert meta.revision == f"{meta.digest[:12]}-{meta.serial}"
    assert (meta.frozen, meta.emergency_roles) == (False, ("head",))
    files = contents(bundle.content)
    assert json.loads(files["/.manifest"])["revision"] == meta.revision
    assert Meta.of(json.loads(files["/data.json"])["tradepulse"]["iam"]["meta"]) == meta


def test_a_bundle_holds_the_rules_and_neither_their_tests_nor_paths_of_this_machine(
    workshop: Workshop, source: PolicySource
) -> None:
    files = contents(workshop.build(source).content)
    rules = {path.name for path in POLICY.glob("*.rego") if not path.name.endswith("_test.rego")}
    assert set(files) == {"/data.json", "/.manifest", "/.signatures.json"} | {
        f"/tradepulse/rules/{name}" for name in rules
    }


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        (
            {"a_test.rego": TEST + "test_x if not authz.allow\n"},
            r"tests of the policy fail:\n  data.*authz_test.test_x",
        ),
        ({"a_test.rego": TEST + "todo_test_x if authz.allow\n"}, r"authz_test.todo_test_x"),
        ({"a_test.rego": "package tradepulse.authz_test\n\ntest_x if"}, "does not compile"),
        ({}, "has no tests"),
    ],
    ids=["fails", "is-skipped", "does-not-compile", "is-missing"],
)
def test_nothing_is_made_when_a_test(
    workshop: Workshop, source: PolicySource, tmp_path: Path, tests: dict[str, str], says: str
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in {"a.rego": RULE, **tests}.items():
        (rules / name).write_text(text)
    with pytest.raises(PolicyRed, match=says):
        workshop.build(source, policy_dir=rules)


def test_an_empty_policy_folder_makes_nothing(workshop: Workshop, source: PolicySource, tmp_path: Path) -> None:
    with pytest.raises(PolicyRed, match="has no tests"):
        workshop.build(source, policy_dir=tmp_path / "nowhere")


def test_a_key_is_made_for_its_owner_only_and_never_twice(tmp_path: Path) -> None:
    private, public = tmp_path / "k.pem", tmp_path / "k.pub"
    create_key(private, public)
    assert private.stat().st_mode & 0o777 == 0o600
    assert public.read_text() == public_key(private)
    before = private.read_bytes()
    with pytest.raises(KeyUnusable, match="File exists"):
        create_key(private, public)
    assert private.read_bytes() == before


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (pem(ec.generate_private_key(ec.SECP256R1())), 0o640, "can be read by others; run: chmod 600"),
        (pem(ec.generate_private_key(ec.SECP384R1())), 0o600, "is no P-256 key"),
        (pem(rsa.generate_private_key(65537, 2048)), 0o600, "is no P-256 key"),
        (b"canary", 0o600, "holds no private key"),
        (None, 0o600, "No such file"),
    ],
)
def test_a_key_that_is_not_fit_signs_nothing_and_is_not_shown(
    workshop: Workshop, source: PolicySource, tmp_path: Path, content: bytes | None, mode: int, says: str
) -> None:
    path = tmp_path / "unfit.pem"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(KeyUnusable, match=says) as caught:
        workshop.build(source, key=path)
    assert "canary" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_an_opa_that_was_named_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_SYNC_OPA_BIN", "/nowhere/opa")
    with pytest.raises(OpaMissing, match=r"/nowhere/opa.*set ADMIN_SYNC_OPA_BIN"):
        find_opa()


@pytest.mark.parametrize(
    ("version", "says"), [("1.21.2", "is OPA 1.21.2, but bundles need 1.21.3"), ("x", "does not tell")]
)
def test_an_opa_that_verifies_badly_is_refused(tmp_path: Path, version: str, says: str) -> None:
    old = tmp_path / "opa"
    old.write_text(f"#!/bin/sh\necho 'Version: {version}'\n")
    old.chmod(0o755)
    with pytest.raises(OpaMissing, match=says):
        find_opa(str(old))


def configured(public: str, **more: object) -> dict[str, object]:
    settings = {"bundle_url": "http://127.0.0.1:8182/", "public_key": public, "persist_dir": Path("/var/lib/opa")}
    return opa_config(**{**settings, **more})  # type: ignore[arg-type]


def test_opa_is_told_to_require_our_signature(workshop: Workshop) -> None:
    config = json.loads(render_config(configured(public_key(workshop.key))))
    assert config["bundles"]["tradepulse"]["signing"] == {"keyid": "tradepulse-bundle", "scope": "write"}
    assert config["keys"]["tradepulse-bundle"]["algorithm"] == "ES256"
    assert config["services"]["bundles"]["url"] == "http://127.0.0.1:8182"
    assert "PRIVATE" not in json.dumps(config)


@pytest.mark.parametrize("url", ["file:///bundles", "/bundles", "ftp://x/bundles"])
def test_a_delivery_that_opa_would_not_poll_is_refused(workshop: Workshop, url: str) -> None:
    with pytest.raises(ValueError, match="polls http and https only"):
        configured(public_key(workshop.key), bundle_url=url)


def test_opa_is_never_given_the_private_key(workshop: Workshop) -> None:
    with pytest.raises(ValueError, match="public half"):
        configured(workshop.key.read_text())
