"""Lists of names for `admin-sync link`: every mistake is said at once, and none is guessed away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from admin_sync.commands.linking import link
from admin_sync.commands.options import Options
from admin_sync.console import Console
from admin_sync.errors import InvalidInput, Misconfigured
from admin_sync.links.listed import Name, names

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "iam"


def listed(folder: Path, text: str) -> list[Name]:
    path = folder / "names.csv"
    path.write_text(text)
    return names(path)


def test_a_list_is_read_in_its_order_with_addresses_in_lower_case(tmp_path: Path) -> None:
    found = listed(tmp_path, 'subject,email\na-1,Ann@Acme.example\n"b,2",bob@acme.example\n')
    assert found == [Name("a-1", "ann@acme.example", 2), Name("b,2", "bob@acme.example", 3)]


def test_every_mistake_of_a_list_is_said_in_one_run(tmp_path: Path) -> None:
    text = "subject,email\na,a@x.example\na,b@x.example\nc,A@x.example\n,d@x.example\ne,nobody\nf\n"
    with pytest.raises(InvalidInput) as caught:
        listed(tmp_path, text)
    assert [(one.line, one.code) for one in caught.value.findings] == [
        (3, "twice"),
        (4, "twice"),
        (5, "subject"),
        (6, "email"),
        (7, "columns"),
    ]


@pytest.mark.parametrize("text", ["", "\n", "email,subject\n", "\ufeffsubject,email\na,b@c.example\n"])
def test_a_list_without_its_header_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="header"):
        listed(tmp_path, text)


def test_nobody_is_linked_at_a_provider_that_people_log_in_with(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text("subject,email\n")
    options = Options(CONFIG, ("dev",), Console(quiet=True), dict(os.environ))
    with pytest.raises(Misconfigured, match="only a token bridge"):
        link(options, file=path, provider="workforce")
