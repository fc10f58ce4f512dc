"""Every way to log in gives what `docs/assurance.md` says, and never more than was proved.

Every run walks some rows, `TRADEPULSE_SOAK=1` all of them. Whoever needs a security key or a passkey sits at a real
browser, and with `TRADEPULSE_BROWSER=1` everybody does. Who changes a flow makes the table anew with
`TRADEPULSE_WRITE_ASSURANCE=1`, and reads the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from assurance_document import claimed, line, lines, write
from assurance_oracle import Proof, highest, methods, number
from assurance_rows import ALWAYS, ROWS, Row
from assurance_walk import Walk

if TYPE_CHECKING:
    from tests.conftest import Stack
    from tests.realm.conftest import Realm

EVERYTHING: Final = "TRADEPULSE_SOAK" in os.environ
IN_BROWSER: Final = "TRADEPULSE_BROWSER" in os.environ
WRITING: Final = "TRADEPULSE_WRITE_ASSURANCE" in os.environ


@pytest.fixture(scope="module")
def walk(stack: Stack, realm: Realm) -> Iterator[Walk]:
    walker = Walk(stack, realm, in_browser=IN_BROWSER)
    try:
        yield walker
    finally:
        walker.forget()


@pytest.fixture(scope="module")
def table() -> Iterator[dict[Row, str]]:
    """The committed rows; or those of this run, which replace them at the end."""
    if not WRITING:
        yield lines()
        return
    made: dict[Row, str] = {}
    yield made
    kept = lines()
    write({row: text for row in ROWS if (text := made.get(row) or kept.get(row))})


@pytest.mark.integration
@pytest.mark.parametrize("row", [row for row in ROWS if EVERYTHING or row in ALWAYS], ids=str)
def test_a_login_gives_what_the_table_says_and_no_more_than_was_proved(
    walk: Walk, table: dict[Row, str], row: Row
) -> None:
    outcome = walk.row(row)
    if not outcome.refused:
        assert number(outcome.acr) <= highest(outcome.proofs)
        assert number(outcome.level) <= number(outcome.acr)
        assert set(outcome.amr) <= methods(outcome.proofs, outcome.upstream)
    text = line(row, outcome)
    if WRITING:
        table[row] = text
    assert text == table[row]


def test_the_table_has_every_row_once_and_no_other() -> None:
    assert list(lines()) == list(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_no_committed_row_is_higher_than_what_was_proved(row: Row) -> None:
    proofs, acr, amr, level = claimed(lines()[row])
    if acr:
        assert number(level) <= number(acr) <= highest(proofs)
    trusted = {Proof.PROVIDER_AAL2, Proof.PROVIDER_AAL3} & set(proofs)
    assert trusted or set(amr) <= methods(proofs)


def test_whoever_insists_on_a_level_gets_it_or_nothing() -> None:
    insisting = [row for row in ROWS if row.essential]
    assert len(insisting) > 10
    for row in insisting:
        acr = claimed(lines()[row])[1]
        assert not acr or number(acr) >= number(row.acr or "")


def test_registering_a_factor_raises_nothing_whatever_was_asked_for() -> None:
    first = [claimed(lines()[row])[1] for row in ROWS if row.way == "first login, registering"]
    assert len(first) > 5
    assert set(first) <= {"aal1", ""}


def test_every_run_walks_every_way_and_every_factor() -> None:
    assert {row.way for row in ALWAYS} == {row.way for row in ROWS}
    assert {row.holds for row in ALWAYS} == {row.holds for row in ROWS}
    assert {row.asked for row in ALWAYS} >= {"nothing", "aal2", "aal3", "aal2, essential", "aal3, essential"}
