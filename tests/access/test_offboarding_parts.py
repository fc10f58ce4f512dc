"""The parts of an offboarding that need no server: the journal, the report, whose addresses, who is the last one."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from repository_world import CHECKOUT, SAMPLE

from admin_sync.bundle.build import build_bundle
from admin_sync.bundle.directory import Directory
from admin_sync.bundle.errors import Overtaken, StaleSerial
from admin_sync.bundle.keys import create_key
from admin_sync.bundle.opa_binary import find_opa
from admin_sync.bundle.publish import publish
from admin_sync.check import checked
from admin_sync.errors import Interrupted, Misconfigured, Refused
from admin_sync.keycloak.connection import Connection, NotReachable
from admin_sync.load.document import Document
from admin_sync.model import Current, Ref, Resource, index
from admin_sync.offboarding import bindings
from admin_sync.offboarding.bindings import Decisions
from admin_sync.offboarding.case import Case, Item
from admin_sync.offboarding.journal import JournalHeld, opened, path_of
from admin_sync.offboarding.last import refuse_the_last_one
from admin_sync.offboarding.person import addresses_of
from admin_sync.offboarding.report import markdown, report
from admin_sync.offboarding.settings import offboarding_settings
from admin_sync.policy import policy_source
from admin_sync.refs import ROLE, USER, role_binding
from admin_sync.roster import Employee, Roster
from admin_sync.settings import settings
from admin_sync.sync import Session
from admin_sync.trail import Trail

ADA = "ada@tradepulse.example"


@pytest.fixture(scope="module")
def document() -> Document:
    return checked(SAMPLE, {})


def test_a_torn_last_line_is_dropped_and_the_case_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path, ADA) as journal:
        journal.add("started", email=ADA, held=[])
        journal.add("begun", step="account", place="dev", item="account ada")
    path = path_of(tmp_path, ADA)
    with path.open("ab") as file:
        file.write(b'{"what": "done", "step": "acc')
    with opened(tmp_path, ADA.upper()) as journal:
        assert journal.resumes
        assert set(journal.begun("account", "dev")) == {"account ada"}
        journal.add("finished", complete=True)
    assert [line[:8] for line in path.read_bytes().splitlines()] == [b'{"what":'] * 3
    with opened(tmp_path, ADA) as journal:
        assert not journal.resumes


def test_a_case_that_left_something_is_gone_on_with(tmp_path: Path) -> None:
    with opened(tmp_path, ADA) as journal:
        journal.add("started", email=ADA, held=[])
        journal.add("finished", complete=False)
    with opened(tmp_path, ADA) as journal:
        assert journal.resumes


def test_two_runs_about_one_person_do_not_meet(tmp_path: Path) -> None:
    with opened(tmp_path, ADA), pytest.raises(JournalHeld) as held, opened(tmp_path, ADA):
        pass
    assert held.value.exit_code == 6
    # And a process that is killed leaves nobody waiting.
    program = (
        "import os, signal, sys; from pathlib import Path; from admin_sync.offboarding.journal import opened\n"
        "with opened(Path(sys.argv[1]), sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path), ADA], check=False)
    assert killed.returncode == -9
    with opened(tmp_path, ADA) as journal:
        assert not journal.resumes


def test_journals_of_different_people_are_different_files(tmp_path: Path) -> None:
    names = {path_of(tmp_path, one).name for one in ("a/b@x.example", "a_b@x.example", "../a@x.example")}
    assert len(names) == 3
    assert all((tmp_path / name).resolve().parent == tmp_path.resolve() for name in names)


def test_what_cannot_be_written_down_is_not_done(tmp_path: Path) -> None:
    with opened(tmp_path, ADA) as journal:
        journal._descriptor, kept = 10_000, journal._descriptor
        with pytest.raises(Interrupted):
            journal.add("begun", step="account", place="dev", item="account ada")
        journal._descriptor = kept
        assert journal.lines == []


def line(what: str, second: int, **more: Any) -> dict[str, Any]:
    return {"what": what, "at": f"2026-11-23T07:00:{second:02d}.000+00:00", **more}


def test_the_report_tells_of_all_runs_and_of_the_failures_of_the_last_one() -> None:
    where = {"step": "leases", "place": "dev", "item": "leases of ada"}
    lines = [
        line("started", 0, email=ADA, addresses=[ADA], by="ops@x.example", held=[]),
        line("done", 1, step="account", place="dev", item="account <ada>|x", detail={"id": "7"}),
        line("failed", 2, **where, reason="away"),
        line("finished", 3, complete=False),
        line("resumed", 30),
        line("done", 31, **where, detail={"ending": 2}),
        line("finished", 32, complete=True),
    ]
    found = report(lines)
    assert (found["complete"], found["runs"], found["seconds"], found["failed"]) == (True, 2, 32.0, [])
    assert [one["after_seconds"] for one in found["revoked"]] == [1.0, 31.0]
    page = markdown(found)
    assert r"account \<ada\>\|x" in page
    assert "ending: 2" in page
    half = report(lines[:4])
    assert (half["complete"], half["failed"][0]["reason"]) == (False, "away")
    assert "## Left" in markdown(half)


def test_every_spelling_of_a_person_is_theirs(document: Document) -> None:
    class NoAnswer:
        def pages(self, *_words: object, **_query: object) -> list[object]:
            raise NotReachable("away")

    roster = Roster((Employee(ADA, "Ada", "R&D", True, aliases=frozenset({"ada.l@tradepulse.example"})),), "x", "0")
    found = addresses_of(
        "Ada+iam@tradepulse.example",
        ["ada@elsewhere.example"],
        document=document,
        roster=roster,
        connection=cast(Connection, NoAnswer()),
        realms=["/tradepulse-dev"],
    )
    assert found == [
        "ada+iam@tradepulse.example",
        "ada@elsewhere.example",
        ADA,
        "ada.l@tradepulse.example",
    ]


class Realm:
    """A realm as it was read: who holds admin there; None for one that does not answer."""

    def __init__(self, admins: list[str] | None) -> None:
        self.admins = admins

    def gateway(self, _environment: str) -> Realm:
        return self

    def read(self, realm: str) -> Current:
        if self.admins is None:
            raise NotReachable("away")
        resources = [Resource(Ref(ROLE, "admin"), {"permissions": ["iam:modify"], "includes": []})]
        for one in self.admins:
            resources.append(Resource(Ref(USER, one), {"email": one, "enabled": True}))
            resources.append(Resource(role_binding(one, "admin"), {"user": one, "role": "admin"}))
        return Current(realm, exists=True, resources=index(resources))


def judged(document: Document, admins: list[str] | None, email: str) -> None:
    environ: dict[str, str] = {}
    made = settings(environ)
    case = Case(
        addresses=[email],
        reason="",
        author="ops@x.example",
        environments=["dev"],
        document=document,
        settings=made,
        own=offboarding_settings(environ, made),
        connection=cast(Connection, None),
        clock=lambda: datetime.now(UTC),
    )
    refuse_the_last_one(case, cast(Session, Realm(admins)))


def test_the_last_administrator_is_not_offboarded(document: Document) -> None:
    with pytest.raises(Refused, match="last-administrator: nobody but ada@"):
        judged(document, [ADA], ADA)
    judged(document, [ADA, "eve@tradepulse.example"], ADA)
    judged(document, ["eve@tradepulse.example"], ADA)
    # Nobody has anything yet: an empty realm keeps nobody.
    judged(document, [], ADA)


def test_where_the_realm_cannot_be_read_the_file_says_who_is_the_last(document: Document) -> None:
    one, *others = (b for b in document.bindings.bindings if b.group == "security" and "dev" in b.environments)
    alone = replace(document, bindings=document.bindings.model_copy(update={"bindings": [one]}))
    with pytest.raises(Refused):
        judged(alone, None, one.subject.user)
    if others:
        judged(document, None, one.subject.user)


@pytest.mark.parametrize("text", ["dev", "dev=", "dev=ftp://x", "dev=https://v.example,,", "Dev=https://v.example"])
def test_a_vault_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="ADMIN_SYNC_VAULTS"):
        offboarding_settings({"ADMIN_SYNC_VAULTS": text}, settings({}))


def test_no_vault_is_said_and_not_guessed() -> None:
    made = settings({})
    assert offboarding_settings({}, made).vaults is None
    assert offboarding_settings({"ADMIN_SYNC_VAULTS": "none"}, made).vaults == {}
    both = "dev=https://v.example/, prod=https://w.example"
    assert offboarding_settings({"ADMIN_SYNC_VAULTS": both}, made).vaults == {
        "dev": "https://v.example",
        "prod": "https://w.example",
    }


def test_what_is_published_and_not_served_is_not_called_denied(document: Document, tmp_path: Path) -> None:
    """A first run published the bundle and OPA did not take it; the second must not find that nothing is left."""
    key, opa = tmp_path / "key.pem", find_opa()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    create_key(key, tmp_path / "key.pub.pem")
    source = policy_source(document)

    def bundle(*barred: str) -> Path:
        made = build_bundle(replace(source, barred=frozenset(barred)), policy_dir=CHECKOUT / "policy", key=key, opa=opa)
        publish(made, Directory(tmp_path / "bundles"))
        served = tmp_path / f"{made.meta.revision}.tar.gz"
        served.write_bytes(made.content)
        return served

    before = bundle()
    url = f"http://127.0.0.1:{port}"
    made = settings({"ADMIN_SYNC_BUNDLE_TARGET": str(tmp_path / "bundles"), "ADMIN_SYNC_OPA_URL": url})
    case = cast(Case, SimpleNamespace(addresses=[ADA], settings=made))
    step = Decisions(None)
    assert [one.detail["bar"] for one in step.look(case, "")] == [[ADA]]
    barred = bundle(ADA)
    assert ["cannot be asked" in str(one.detail["served"]) for one in step.look(case, "")] == [True]
    for archive, left in ((before, ["still serves"]), (barred, [])):
        command = [opa, "run", "--server", "--addr", f"127.0.0.1:{port}", "--skip-verify", "--bundle", archive]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 20
            while "cannot be asked" in str(step.left(case, "")):
                assert time.monotonic() < until
                time.sleep(0.05)
            said = [str(one.detail["served"]) for one in step.left(case, "")]
            assert [one for one, wanted in zip(said, left, strict=True) if wanted not in one] == []
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("overtaken", "done"), [(0, True), (3, True), (4, False)])
def test_a_bundle_that_somebody_overtook_is_made_again_a_few_times(
    document: Document, monkeypatch: pytest.MonkeyPatch, overtaken: int, done: bool
) -> None:
    """The reconciler sees the same commit, and may publish between our look and our switch."""
    tried = []

    def released(*_: object) -> dict[str, object]:
        tried.append(1)
        if len(tried) <= overtaken:
            raise StaleSerial("somebody published meanwhile") if len(tried) % 2 else Overtaken("in the same moment")
        return {"revision": "r", "serial": 9, "frozen": False, "served_after_seconds": 0.1}

    monkeypatch.setattr(bindings, "release", released)
    monkeypatch.setattr(bindings, "_target", lambda _case: None)
    monkeypatch.setattr(bindings, "_repository", lambda _case: SimpleNamespace(document=lambda: document))
    case = cast(Case, SimpleNamespace(settings=settings({})))
    step = Decisions(cast(Trail, object()))
    if done:
        assert step.take(case, "", Item("policy bundle", {}))["serial"] == 9
        assert len(tried) == overtaken + 1
    else:
        with pytest.raises(Overtaken):
            step.take(case, "", Item("policy bundle", {}))
