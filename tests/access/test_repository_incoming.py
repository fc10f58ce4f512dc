"""An operator's checkout and the grants of the workflow meet in one repository, and neither loses anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from repository_world import BINDINGS, SAMPLE, git, granting, opened

from admin_sync.errors import InvalidInput, Refused
from admin_sync.load.document import BINDINGS as FILE
from admin_sync.repository import Selector
from admin_sync.repository.__main__ import taken_over
from admin_sync.repository.settings import repository_settings

APPROVER = "security.one@tradepulse.example"
NEW = "  - subject: {user: quant.two@tradepulse.example}\n    role: viewer\n    environments: [dev]\n"


class Both:
    """A checkout that an operator edits and the repository that grants go to."""

    def __init__(self, place: Path) -> None:
        self.checkout = place / "checkout"
        shutil.copytree(SAMPLE, self.checkout)
        self.place = place / "iam"
        self.settings = repository_settings({"ADMIN_SYNC_REPOSITORY": str(self.place)})

    def take(self) -> str:
        return taken_over(self.settings, self.checkout).split(" ")[0]

    def grant(self, number: int) -> None:
        with opened(self.place).change(APPROVER, "Grant") as change:
            change.add(granting(number))

    @property
    def text(self) -> str:
        return (self.place / BINDINGS).read_text()


@pytest.fixture
def both(tmp_path: Path) -> Both:
    made = Both(tmp_path)
    assert made.take() == "made"
    return made


def test_the_first_time_makes_a_repository_of_the_directory_as_it_is(both: Both) -> None:
    names = {path.name for path in (both.place / "configs" / "iam").iterdir()}
    assert names == {path.name for path in SAMPLE.iterdir()}
    assert (both.place / BINDINGS).read_bytes() == (SAMPLE / FILE).read_bytes()
    assert both.take() == "unchanged"
    assert git(both.place, "status", "--porcelain") == ""


def test_a_grant_and_an_edit_at_the_same_place_are_both_kept(both: Both) -> None:
    both.grant(7)
    file = both.checkout / FILE
    file.write_text(file.read_text() + NEW)
    assert both.take() == "merged"
    assert NEW in both.text
    assert "REQ-7" in both.text
    assert len(git(both.place, "log", "-1", "--format=%P").split()) == 2
    assert git(both.place, "status", "--porcelain") == ""
    assert both.take() == "unchanged"


def test_what_a_leaver_approved_still_stands_after_an_edit_elsewhere(both: Both) -> None:
    with opened(both.place).change("operator@tradepulse.example", "Offboard") as change:
        change.remove(Selector(user=APPROVER))
    former = opened(both.place).document().bindings.former_approvers
    file = both.checkout / FILE
    file.write_text(file.read_text() + NEW)
    assert both.take() == "merged"
    assert [one.user for one in former] == [APPROVER]
    assert opened(both.place).document().bindings.former_approvers == former


def test_what_was_taken_back_here_does_not_come_back_with_an_edit(both: Both) -> None:
    with opened(both.place).change(APPROVER, "Remove") as change:
        change.remove(Selector(user="quant.one@tradepulse.example"))
    file = both.checkout / FILE
    file.write_text(file.read_text() + NEW)
    both.take()
    assert "quant.one@" not in both.text
    assert "quant.two@" in both.text


def test_what_an_operator_takes_out_goes_and_a_grant_stays(both: Both) -> None:
    both.grant(7)
    repository = opened(both.checkout.parent / "iam")
    before = [one.subject.user for one in repository.document().bindings.bindings]
    assert "trader.one@tradepulse.example" in before
    file = both.checkout / FILE
    lines = file.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if "trader.one@" in line and "subject" in line)
    file.write_text("".join(lines[:start] + lines[start + 3 :]))
    both.take()
    after = [one.subject.user for one in repository.document().bindings.bindings]
    assert "trader.one@tradepulse.example" not in after
    assert "REQ-7" in both.text


def test_another_file_changed_by_one_side_is_that_sides(both: Both) -> None:
    policies = both.checkout / "policies.yaml"
    policies.write_text(policies.read_text() + "# reviewed\n")
    both.grant(7)
    both.take()
    assert (both.place / "configs" / "iam" / "policies.yaml").read_text().endswith("# reviewed\n")
    assert "REQ-7" in both.text


def test_the_same_lines_changed_on_both_sides_are_refused_and_nothing_moves(both: Both) -> None:
    here = both.place / "configs" / "iam" / "policies.yaml"
    here.write_text(here.read_text().replace("stale_after: 90d", "stale_after: 80d"))
    git(both.place, "commit", "--quiet", "--all", "--message=Here")
    there = both.checkout / "policies.yaml"
    there.write_text(there.read_text().replace("stale_after: 90d", "stale_after: 70d"))
    head = git(both.place, "rev-parse", "HEAD")
    with pytest.raises(Refused, match="same lines"):
        both.take()
    assert git(both.place, "rev-parse", "HEAD") == head


def test_a_checkout_that_is_not_valid_is_refused_and_nothing_moves(both: Both) -> None:
    file = both.checkout / FILE
    file.write_text(file.read_text() + NEW.replace("viewer", "nobody-knows"))
    head = git(both.place, "rev-parse", "HEAD")
    with pytest.raises(InvalidInput, match="unknown-role"):
        both.take()
    assert git(both.place, "rev-parse", "HEAD") == head


def test_a_merge_that_was_not_remembered_is_made_again_without_doubling(both: Both) -> None:
    reference = git(both.place, "rev-parse", "refs/tradepulse/incoming").strip()
    file = both.checkout / FILE
    file.write_text(file.read_text() + NEW)
    both.take()
    git(both.place, "update-ref", "refs/tradepulse/incoming", reference)
    both.take()
    assert both.text.count("quant.two@") == 1
