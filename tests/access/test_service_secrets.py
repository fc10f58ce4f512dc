"""Static secrets that policy still allows: rotated when due, on a real Keycloak, whatever ends the run."""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certification_world import configured

from admin_sync.check import checked
from admin_sync.commands.options import Options
from admin_sync.commands.rotating import rotate_secrets
from admin_sync.console import Console
from admin_sync.desired import Facts, desire
from admin_sync.errors import Misconfigured, Refused
from admin_sync.keycloak.connection import Connection
from admin_sync.load.document import Document
from admin_sync.model import Current, Ref, Resource, index
from admin_sync.refs import CLIENT
from admin_sync.service_secrets.due import CREATED, held
from admin_sync.service_secrets.rotate import rotate
from admin_sync.service_secrets.sink import Sink
from admin_sync.settings import settings

sys.path.append(str(Path(__file__).resolve().parents[1] / "admin_sync"))
from admin_sync_world import admin_sync

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def excepting(folder: Path, *clients: str, ends: datetime | None = None, rotation: str = "30d") -> Document:
    """The sample with these clients, and an exception for each."""
    configured(folder, [("ann", "role viewer", ["dev"])])
    end = (ends or datetime.now(UTC) + timedelta(days=60)).isoformat()
    rest = f"rotation: {rotation}, approved_by: a@tradepulse.example, expires: '{end}'"
    listed = ", ".join(f"{{client: {one}, {rest}}}" for one in clients)
    declared = "".join(f"  {one}: {{type: confidential, flows: [client_credentials]}}\n" for one in clients)
    roles = folder / "roles.yaml"
    roles.write_text(roles.read_text().replace("\nclients:\n", f"\nclients:\n{declared}"))
    path = folder / "policies.yaml"
    path.write_text(path.read_text().replace("exceptions: []", f"exceptions: [{listed}]"))
    return checked(folder, {})


def realm_with(*clients: tuple[str, str, int | None]) -> Current:
    """A realm of clients: name, authenticator, and how many days old the secret is."""
    resources = []
    for name, authenticator, days in clients:
        made = {} if days is None else {CREATED: str(int((NOW - timedelta(days=days)).timestamp()))}
        attrs = {"enabled": True, "authenticator": authenticator, "attributes": made}
        resources.append(Resource(Ref(CLIENT, name), attrs, server_id=f"id-{name}"))
    return Current("r", exists=True, resources=index(resources))


def test_a_secret_is_due_by_its_age_by_a_missing_file_and_when_asked_for(tmp_path: Path) -> None:
    document = replace(excepting(tmp_path / "iam", "old", "young", "lost", "unknown", "wanted", "keyed"), now=NOW)
    current = realm_with(
        ("old", "client-secret", 30),
        ("young", "client-secret-jwt", 29),
        ("lost", "client-secret", 1),
        ("unknown", "client-secret", None),
        ("wanted", "client-secret", 1),
        ("keyed", "client-jwt", 99),
        ("unexcepted", "client-secret", 99),
    )
    written = {"old", "young", "unknown", "wanted"}
    assert {one.client: one.why for one in held(document, current, written, forced=["wanted"])} == {
        "old": "it is of 2026-10-24 12:00 UTC",
        "young": None,
        "lost": "its file is not there",
        "unknown": "nobody knows how old it is",
        "wanted": "asked for",
    }


def test_a_rotation_that_was_cut_off_is_ended_by_the_next_run_and_none_is_put_off_by_a_forged_age(
    tmp_path: Path,
) -> None:
    """Keycloak has the new secret and the file has the old one; the age alone says that nothing is due."""
    document = replace(excepting(tmp_path / "iam", "cut", "forged"), now=NOW)
    current = realm_with(("cut", "client-secret", 0), ("forged", "client-secret", -3650))
    assert {one.client: one.why for one in held(document, current, {"cut", "cut.next", "forged"})} == {
        "cut": "its last rotation was cut off",
        "forged": "nobody knows how old it is",
    }
    sink = Sink(tmp_path / "sink")
    with pytest.raises(Refused, match="rename it"):
        sink.announce("r", "cut.next", "of another client, which would be taken for what is announced for `cut`")


def test_an_exception_that_has_ended_rotates_nothing_any_more(tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    document = excepting(tmp_path / "iam", "old", ends=ends)
    current = realm_with(("old", "client-secret", 99))
    assert len(held(document, current, ())) == 1
    assert held(replace(document, now=ends), current, ()) == []


def test_an_exception_keeps_the_secret_of_a_client_in_a_realm_of_theirs_until_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "iam"
    excepting(folder, "batch")
    roles = folder / "roles.yaml"
    roles.write_text(roles.read_text().replace("  staging: {}", "  staging: {base: theirs}"))
    document = checked(folder, {})
    nothing = Current("r", exists=True, resources=index([]))

    def authenticator(environment: str, **changed: object) -> object:
        wanted = desire(replace(document, **changed), environment, nothing, Facts())  # type: ignore[arg-type]
        return wanted.resources[Ref(CLIENT, "batch")].attrs["authenticator"]

    assert authenticator("staging") == "client-secret"
    assert authenticator("staging", now=NOW + timedelta(days=3650)) == "client-jwt"
    # A realm of ours refuses a secret by policy, so an exception there would make a client that cannot log in.
    assert authenticator("dev") == "client-jwt"
    assert any("no effect" in one for one in desire(document, "dev", nothing, Facts()).warnings)


def test_a_sink_is_nobody_elses_and_a_client_cannot_name_another_file(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(Misconfigured, match="0700"):
        Sink(open_to_all)
    sink = Sink(tmp_path / "sink")
    for wrong in ("../../etc/passwd", "a/b", ".hidden", "", "x" * 300, "näme"):
        with pytest.raises(Refused, match="cannot be the name of a file"):
            sink.announce("r", wrong, "s")
    with sink.held(), pytest.raises(Refused, match="another rotation"), Sink(tmp_path / "sink").held():
        pass


@dataclass(frozen=True)
class Legacy:
    """A realm that somebody else made, with a client that holds a secret."""

    name: str
    admin: Connection
    environ: Mapping[str, str]
    client: str = "batch"

    def works(self, secret: str) -> bool:
        """Whether a secret gets a token."""
        form = {"grant_type": "client_credentials", "client_id": self.client, "client_secret": secret}
        url = f"{self.admin.url}/realms/{self.name}/protocol/openid-connect/token"
        try:
            with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode()) as answer:  # noqa: S310
                return answer.status == 200
        except urllib.error.HTTPError as refused:
            if refused.code == 401:
                return False
            raise


@pytest.fixture(scope="module")
def keycloak_settings(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The settings that reach a real Keycloak as admin-sync: those of a file, or of the run's own stack."""
    given = os.environ.get("TRADEPULSE_TEST_SYNC_ENV")
    if given is None:
        found = dict(request.getfixturevalue("stack").env)
    else:
        lines = (line.removeprefix("export ").partition("=") for line in Path(given).read_text("utf-8").splitlines())
        found = {name: value for name, _, value in lines}
    keep = ("ADMIN_SYNC_KEYCLOAK_URL", "ADMIN_SYNC_REALM", "ADMIN_SYNC_CLIENT_ID", "ADMIN_SYNC_CLIENT_SECRET_FILE")
    return {name: found[name] for name in keep if name in found}


@pytest.fixture(scope="module")
def legacy(keycloak_settings: Mapping[str, str]) -> Iterator[Legacy]:
    admin = Connection(settings(keycloak_settings).account())
    name = f"legacy{secrets.token_hex(3)}"
    admin.post("", {"realm": name, "enabled": True})
    client = {"clientId": "batch", "serviceAccountsEnabled": True, "publicClient": False, "secret": "as-it-was-made"}
    admin.post(f"/{name}/clients", {**client, "clientAuthenticatorType": "client-secret"})
    yield Legacy(name, admin, keycloak_settings)
    admin.delete(f"/{name}")


def configuration(folder: Path, legacy: Legacy) -> Path:
    """The sample, whose dev is that realm, with an exception for its client."""
    excepting(folder, legacy.client)
    path = folder / "roles.yaml"
    path.write_text(path.read_text().replace("  dev:     {}", f"  dev:     {{realm: {legacy.name}, base: theirs}}"))
    return folder


@pytest.mark.integration
def test_the_command_rotates_what_is_due_and_says_no_secret(legacy: Legacy, tmp_path: Path) -> None:
    config, sink = configuration(tmp_path / "iam", legacy), tmp_path / "sink"
    environ = {**legacy.environ, "ADMIN_SYNC_SECRETS_DIR": str(sink), "TRADEPULSE_AUDIT_DIR": str(tmp_path / "audit")}
    arguments = ("rotate-secrets", "--config", config, "--env", "dev", "--json")
    dry = admin_sync(*arguments, "--dry-run", environ=environ)
    assert (dry.code, json.loads(dry.out)["secrets"][0]["due"]) == (0, "its file is not there")
    assert legacy.works("as-it-was-made")
    first = admin_sync(*arguments, environ=environ)
    assert first.code == 0, first.err
    path = sink / legacy.name / legacy.client
    secret = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert legacy.works(secret)
    assert not legacy.works("as-it-was-made")
    forced = admin_sync(*arguments, "--client", legacy.client, environ=environ)
    assert forced.code == 0, forced.err
    assert path.read_text() != secret
    said = "".join([first.out, first.err, forced.out, forced.err, (tmp_path / "audit/iam_events.jsonl").read_text()])
    assert secret not in said
    assert path.read_text() not in said
    assert said.count('"event":"secret.rotated"') == 2


def test_only_a_client_with_an_exception_can_be_named(tmp_path: Path) -> None:
    excepting(tmp_path / "iam", "batch")
    options = Options(tmp_path / "iam", (), Console(), {})
    with pytest.raises(Misconfigured, match=r"--client nobody: policies\.yaml has no exception"):
        rotate_secrets(options, sink=tmp_path / "sink", client=["nobody"])
    with pytest.raises(Misconfigured, match="ADMIN_SYNC_SECRETS_DIR"):
        rotate_secrets(options)


@pytest.mark.integration
@pytest.mark.parametrize("step", ["announced", "changed", "promoted"])
def test_wherever_a_run_is_killed_one_of_the_two_files_works_and_the_next_run_ends_it(
    legacy: Legacy, tmp_path: Path, step: str
) -> None:
    found = legacy.admin.get(f"/{legacy.name}/clients", clientId=legacy.client)[0]
    current = Current(
        legacy.name,
        exists=True,
        resources=index(
            [
                Resource(
                    Ref(CLIENT, legacy.client),
                    {"enabled": True, "authenticator": "client-secret", "attributes": found["attributes"]},
                    server_id=found["id"],
                )
            ]
        ),
    )
    sink = Sink(tmp_path / "sink")
    (one,) = held(excepting(tmp_path / "iam", legacy.client), current, ())
    path = rotate(legacy.admin, sink, one)

    class Killed(Exception):
        pass

    def kill(at: str) -> None:
        if at == step:
            raise Killed

    with pytest.raises(Killed):
        rotate(legacy.admin, sink, one, reached=kill)
    files = [place for place in (path, path.with_name(f"{path.name}.next")) if place.exists()]
    assert [legacy.works(place.read_text()) for place in files].count(True) == 1
    assert rotate(legacy.admin, sink, one) == path
    assert legacy.works(path.read_text())
    assert [place.name for place in path.parent.iterdir()] == [path.name]
