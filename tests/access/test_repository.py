"""Every change of the bindings is one commit, on the head that is in force, and loses nobody's work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from repository_world import BINDINGS, git, granting, make, opened

from admin_sync.errors import InvalidInput, Misconfigured, Refused
from admin_sync.load.schema import Binding
from admin_sync.repository import Selector, repository_settings
from admin_sync.repository.change import NothingSaid

APPROVER = "security.one@tradepulse.example"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make(tmp_path / "iam")


def test_a_grant_is_one_commit_by_the_person_with_request_and_approvals(place: Path) -> None:
    before = (place / BINDINGS).read_text()
    with opened(place).change(
        "quant.one@tradepulse.example", "Grant viewer", reason="Why\n\nSigned-off-by: x"
    ) as change:
        change.add(granting(7))
    assert change.committed is not None
    assert git(place, "rev-parse", "HEAD").strip() == change.committed.commit
    shown = git(place, "log", "-1", "--format=%ae|%ce|%s|%(trailers:only,unfold)")
    assert shown.strip().split("\n") == [
        "quant.one@tradepulse.example|access@tradepulse.invalid|Grant viewer|Request: REQ-7",
        "Approved-by: manager.one@tradepulse.example (manager)",
        "Approved-by: owner.one@tradepulse.example (system_owner)",
    ]
    after = (place / BINDINGS).read_text()
    assert after.startswith(before)
    assert after[len(before) :].splitlines()[:3] == [
        "  - subject: {user: quant.one@tradepulse.example}",
        "    role: viewer",
        "    environments: [dev]",
    ]
    assert git(place, "status", "--porcelain") == ""
    assert git(place, "rev-list", "--count", "HEAD").strip() == "2"


def test_taking_back_what_was_granted_restores_the_file_byte_for_byte(place: Path) -> None:
    before = (place / BINDINGS).read_bytes()
    repository = opened(place)
    with repository.change(APPROVER, "Grant") as change:
        change.add(granting(7))
    with repository.change(APPROVER, "End") as change:
        gone = change.remove(Selector(request="REQ-7"))
    assert [one.request for one in gone] == ["REQ-7"]
    assert (place / BINDINGS).read_bytes() == before
    assert "Ended-request: REQ-7" in git(place, "log", "-1", "--format=%B")


def test_what_changes_nothing_commits_nothing(place: Path) -> None:
    head = git(place, "rev-parse", "HEAD")
    with opened(place).change(APPROVER, "Nothing") as change:
        assert change.remove(Selector(user="nobody@tradepulse.example")) == []
    assert change.committed is None
    assert git(place, "rev-parse", "HEAD") == head


def test_an_invalid_result_is_never_committed(place: Path) -> None:
    head = git(place, "rev-parse", "HEAD")
    text = (place / BINDINGS).read_bytes()
    wrong = granting(8, role="sre")
    with pytest.raises(InvalidInput, match="missing-approval"), opened(place).change(APPROVER, "Too little") as change:
        change.add(wrong)
    assert git(place, "rev-parse", "HEAD") == head
    assert (place / BINDINGS).read_bytes() == text


def test_an_error_in_the_block_commits_nothing(place: Path) -> None:
    head = git(place, "rev-parse", "HEAD")
    with pytest.raises(KeyError, match="half-way"), opened(place).change(APPROVER, "Half") as change:
        change.add(_broken(granting(9)))
    assert git(place, "rev-parse", "HEAD") == head
    # The lock is free again.
    with opened(place, ADMIN_SYNC_REPOSITORY_WAIT="1s").change(APPROVER, "Whole") as change:
        change.add(granting(9))
    assert change.committed is not None


def test_a_change_without_author_or_message_is_refused(place: Path) -> None:
    for author, message in (("", "Grant"), (APPROVER, " \n ")):
        with pytest.raises(NothingSaid), opened(place).change(author, message) as change:
            change.add(granting(9))
    assert git(place, "rev-list", "--count", "HEAD").strip() == "1"


def test_writers_at_the_same_time_lose_nothing(place: Path) -> None:
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with opened(place).change(APPROVER, f"Grant {number}") as change:
                change.add(granting(number, user=f"person{number}@tradepulse.example"))
        except BaseException as problem:  # noqa: BLE001  (a thread's error would be lost)
            failed.append(problem)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(100, 108)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    found = {one.request for one in opened(place).document().bindings.bindings}
    assert found >= {f"REQ-{number}" for number in range(100, 108)}
    assert git(place, "rev-list", "--count", "HEAD").strip() == "9"
    assert git(place, "status", "--porcelain") == ""


def test_an_operator_who_commits_meanwhile_loses_nothing(place: Path) -> None:
    with opened(place).change(APPROVER, "Grant") as change:
        change.add(granting(7))
        text = (place / BINDINGS).read_text().replace("# Who holds what", "# (read by two) Who holds what")
        (place / BINDINGS).write_text(text)
        git(place, "commit", "--quiet", "--all", "--message=Say who reads it")
    text = (place / BINDINGS).read_text()
    assert "# (read by two)" in text
    assert "REQ-7" in text
    assert git(place, "log", "--format=%s").splitlines() == ["Grant", "Say who reads it", "The configuration"]
    assert git(place, "status", "--porcelain") == ""


def test_an_uncommitted_edit_is_kept_and_not_committed(place: Path) -> None:
    path = place / BINDINGS
    path.write_text(path.read_text().replace("# Who holds what", "# (a draft) Who holds what"))
    with opened(place).change(APPROVER, "Grant") as change:
        change.add(granting(7))
    assert "REQ-7" in path.read_text()
    assert "# (a draft)" in path.read_text()
    assert "(a draft)" not in git(place, "show", f"HEAD:{BINDINGS}")
    assert git(place, "diff", "--stat").count("role_bindings.yaml") == 1


def test_an_uncommitted_edit_in_the_same_lines_refuses_before_anything_is_committed(place: Path) -> None:
    path = place / BINDINGS
    edited = (
        path.read_text()
        + "  - subject: {user: quant.two@tradepulse.example}\n    role: viewer\n    environments: [dev]\n"
    )
    path.write_text(edited)
    with pytest.raises(Refused, match="uncommitted edits"), opened(place).change(APPROVER, "Grant") as change:
        change.add(granting(7))
    assert path.read_text() == edited
    assert git(place, "rev-list", "--count", "HEAD").strip() == "1"


def test_a_staged_edit_refuses(place: Path) -> None:
    path = place / BINDINGS
    path.write_text(path.read_text().replace("# Who holds what", "# (staged) Who holds what"))
    git(place, "add", BINDINGS)
    with pytest.raises(Refused, match="staged"), opened(place).change(APPROVER, "Grant") as change:
        change.add(granting(7))
    assert git(place, "rev-list", "--count", "HEAD").strip() == "1"


def test_hooks_and_configuration_of_the_repository_run_nothing(place: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name in ("pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        hook = place / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    git(place, "config", "core.fsmonitor", f"touch {mark}")
    with opened(place).change(APPROVER, "Grant") as change:
        change.add(granting(7))
    assert not mark.exists()


def test_a_repository_may_be_the_directory_itself_or_bare(tmp_path: Path, place: Path) -> None:
    flat = tmp_path / "flat"
    (place / "configs" / "iam").rename(flat)
    git(flat, "init", "--quiet", "--initial-branch=main")
    git(flat, "add", "--all")
    git(flat, "commit", "--quiet", "--message=Flat")
    git(tmp_path, "clone", "--quiet", "--bare", str(flat), str(tmp_path / "bare.git"))
    for where in (flat, tmp_path / "bare.git"):
        with opened(where).change(APPROVER, "Grant") as change:
            change.add(granting(7))
        assert change.committed is not None
        assert opened(where).granted_by("REQ-7") == change.committed.commit
    assert "REQ-7" in (flat / "role_bindings.yaml").read_text()


def test_only_a_trailer_of_ours_says_that_a_request_was_granted(place: Path) -> None:
    repository = opened(place)
    with repository.change(APPROVER, "Grant", reason="x\nRequest: REQ-1\n\nRequest: REQ-1") as change:
        change.add(granting(12))
    assert repository.granted_by("REQ-12") is not None
    assert repository.granted_by("REQ-1") is None
    with repository.change(APPROVER, "End") as change:
        change.remove(Selector(request="REQ-12"))
    assert repository.granted_by("REQ-12") is not None


def test_a_justification_cannot_become_anything_else(place: Path) -> None:
    hostile = "Because: \"x\"\n  - subject: {user: evil@tradepulse.example}\n\u202e\u2028\x7f ${HOME} 'é' # no"
    with opened(place).change(APPROVER, "Grant") as change:
        change.add(granting(7).model_copy(update={"justification": hostile}))
    found = [one for one in opened(place).document().bindings.bindings if one.request == "REQ-7"]
    assert [one.subject.user for one in found] == ["quant.one@tradepulse.example"]
    assert found[0].justification == " ".join(hostile.replace("${", "$ {").split())


def test_settings_say_what_is_missing() -> None:
    with pytest.raises(Misconfigured, match="ADMIN_SYNC_REPOSITORY"):
        repository_settings({})
    with pytest.raises(Misconfigured, match="ADMIN_SYNC_FORGE_TOKEN_FILE"):
        repository_settings({"ADMIN_SYNC_REPOSITORY": "/x", "ADMIN_SYNC_FORGE": "github"})


def test_the_work_tree_of_a_killed_writer_is_completed_by_the_next(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (place / BINDINGS).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("admin_sync.repository.follow.WorkTree.follow", _die)
        with pytest.raises(Killed), opened(place).change(APPROVER, "Grant") as change:
            change.add(granting(7))
    assert (place / BINDINGS).read_bytes() == before
    with opened(place).change(APPROVER, "Another") as change:
        change.add(granting(8, user="trader.one@tradepulse.example"))
    assert {"REQ-7", "REQ-8"} <= {one.request for one in opened(place).document().bindings.bindings}
    assert git(place, "status", "--porcelain") == ""


def test_a_writer_killed_with_no_chance_to_tidy_up_leaves_a_whole_repository(place: Path) -> None:
    program = (
        "import itertools, sys; sys.path.insert(0, sys.argv[2])\n"
        "from repository_world import granting, opened; from pathlib import Path\n"
        "for number in itertools.count(int(sys.argv[3])):\n"
        "    with opened(Path(sys.argv[1])).change('security.one@tradepulse.example', f'Grant {number}') as change:\n"
        "        change.add(granting(number, user=f'p{number}@tradepulse.example'))\n"
        "    print(number, flush=True)\n"
    )
    said: list[int] = []
    for round_number, delay in enumerate((0.02, 0.09, 0.17, 0.31)):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(place), str(Path(__file__).parent), str(1000 * (round_number + 1))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        said.append(int(process.stdout.readline()))
        time.sleep(delay)
        process.kill()
        said += [int(line) for line in process.stdout.read().split()]
        process.wait()
    # The index may be locked by a Git that was killed too; that lock is nobody's any more once it is old.
    lock = place / ".git" / "index.lock"
    if lock.exists():
        os.utime(lock, (0, 0))
    with opened(place).change(APPROVER, "Afterwards") as change:
        change.add(granting(7))
    found = [one.request for one in opened(place).document().bindings.bindings if one.request]
    assert len(found) == len(set(found))
    # Whatever was said to be done is there.
    assert {f"REQ-{number}" for number in said} <= set(found)
    assert git(place, "status", "--porcelain") == ""
    git(place, "fsck", "--strict")


class Killed(BaseException):
    """The process ended here."""


def _broken(binding: Binding) -> Binding:
    raise KeyError(f"half-way to {binding.request}")


def _die(*_: object) -> None:
    raise Killed
