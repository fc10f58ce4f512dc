"""Which memberships a commit took back, as a reconciler knows it that was killed meanwhile: on a real repository."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from repository_world import BINDINGS, git, make, opened

from admin_sync.load.document import Document
from admin_sync.load.schema import Binding
from admin_sync.model import Ref
from admin_sync.reconciler.released import Lines
from admin_sync.refs import group_binding
from admin_sync.repository import Repository, Selector

QUANT = "quant.one@tradepulse.example"
RESEARCH = group_binding(QUANT, "research")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose head every environment was brought to."""
    found = opened(make(tmp_path / "iam"))
    brought(found)
    return found


def brought(repository: Repository) -> None:
    head, document = repository.head(), repository.document()
    for environment in document.environments:
        Lines(repository, {}).brought(environment, head, document)


def after_a_kill(repository: Repository, document: Document | None = None) -> Callable[[str], frozenset[Ref]]:
    """What another process, that remembers nothing, finds for an environment."""
    lines, now = Lines(repository, {}), document or repository.document()
    return lambda environment: lines.released(environment, now)


def by_hand(repository: Repository, edit: Callable[[str], str]) -> None:
    """An operator's own commit in the work tree."""
    place = repository.git.place
    path = place / BINDINGS
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text))
    git(place, "commit", "--quiet", "--all", "--message=By hand")


def test_a_line_that_was_deleted_by_hand_is_known_once_even_after_a_kill(repository: Repository) -> None:
    line = f"  - subject: {{user: {QUANT}}}\n    group: research\n    environments: [dev, staging, prod]\n"
    assert after_a_kill(repository)("dev") == frozenset()
    by_hand(repository, lambda text: text.replace(line, ""))
    found = after_a_kill(repository)
    assert [found(name) for name in ("dev", "staging", "prod")] == [{RESEARCH}] * 3
    # One realm was brought up and the other was away: each has its own.
    Lines(repository, {}).brought("dev", repository.head(), repository.document())
    found = after_a_kill(repository)
    assert [found(name) for name in ("dev", "prod")] == [frozenset(), {RESEARCH}]
    # And the provider may give it from then on.
    brought(repository)
    assert after_a_kill(repository)("prod") == frozenset()


def test_an_environment_that_left_a_line_is_released_there_alone(repository: Repository) -> None:
    by_hand(repository, lambda text: text.replace("[dev, staging, prod]", "[dev, staging]", 1))
    found = after_a_kill(repository)
    assert [found(name) for name in ("dev", "staging", "prod")] == [frozenset(), frozenset(), {RESEARCH}]


def test_a_line_that_is_still_there_in_another_form_is_not_released(repository: Repository) -> None:
    by_hand(repository, lambda text: text.replace(f"{{user: {QUANT}}}", f"{{user: {QUANT.upper()}}}", 1))
    assert after_a_kill(repository)("dev") == frozenset()


def test_a_line_that_ended_is_looked_after_by_its_end(repository: Repository) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    given = {"subject": {"user": QUANT}, "group": "trading-owners", "environments": ["dev"], "expires": end.isoformat()}
    with repository.change(QUANT, "Grant") as change:
        change.add(Binding.model_validate(given))
    brought(repository)
    with repository.change(QUANT, "Take out") as change:
        change.remove(Selector(user=QUANT, group="trading-owners"))
    early, late = (repository.snapshot().document({}, end + timedelta(seconds=one)) for one in (-1, 0))
    assert after_a_kill(repository, early)("dev") == {group_binding(QUANT, "trading-owners")}
    assert after_a_kill(repository, late)("dev") == frozenset()


def test_where_nobody_knows_what_was_there_nothing_is_released(tmp_path: Path, repository: Repository) -> None:
    line = f"  - subject: {{user: {QUANT}}}\n    group: research\n    environments: [dev, staging, prod]\n"
    fresh = opened(make(tmp_path / "fresh"))
    by_hand(fresh, lambda text: text.replace(line, ""))
    assert after_a_kill(fresh)("dev") == frozenset()
