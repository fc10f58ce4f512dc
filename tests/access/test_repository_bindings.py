"""Edits of the bindings change their own lines and nothing else, however the file is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository_world import granting

from admin_sync.errors import InvalidInput
from admin_sync.load.schema import Binding, BindingsFile
from admin_sync.load.shape import shaped
from admin_sync.load.strict_yaml import parse
from admin_sync.repository.bindings import Bindings
from admin_sync.repository.selector import Selector

FORMS = {
    "block": "  - subject: {user: NAME}\n    role: viewer\n    environments: [dev, prod]\n",
    "flow": "  - {subject: {user: NAME}, role: viewer, environments: [dev, prod]}  # by hand\n",
    "nested": "  - subject:\n      user: NAME\n    role: viewer\n    environments:\n    - dev\n    - prod\n",
    "dash": "  -\n    subject: {user: NAME}\n    role: viewer   # until then\n    environments: [dev,\n      prod]\n",
    "text": (
        "  - subject: {user: NAME}\n    role: viewer\n    environments: [dev, prod]\n"
        "    expires: 2030-01-01T00:00:00Z\n"
        "    request: REQ-1\n    approvals: [{by: a@b.example, as: manager, at: 2029-12-01T00:00:00Z}]\n"
        "    justification: |\n      One line,\n\n      and another.\n"
    ),
}
GAPS = ("", "\n", "  # about the next\n", "\n# ---- traders ----\n\n")


def read(text: str) -> Bindings:
    source = parse(text.encode(), "role_bindings.yaml")
    model, findings = shaped(source, source.data, BindingsFile, set())
    assert findings == []
    assert isinstance(model, BindingsFile)
    return Bindings(text, model)


def models(text: str) -> list[Binding]:
    return read(text).bindings


def file(pieces: list[tuple[str, str]], newline: str = "\n", end: str = "") -> str:
    body = "".join(
        FORMS[form].replace("NAME", f"p{number}@tradepulse.example") + gap for number, (form, gap) in enumerate(pieces)
    )
    return f"# Who\nversion: 1\nbindings:\n{body}{end}".replace("\n", newline)


PIECES = st.lists(st.tuples(st.sampled_from(sorted(FORMS)), st.sampled_from(GAPS)), min_size=1, max_size=6)


@given(PIECES, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "# the end\n"]))
def test_a_file_that_is_not_edited_is_the_same_bytes(pieces: list[tuple[str, str]], newline: str, end: str) -> None:
    text = file(pieces, newline, end)
    assert read(text).text == text


@given(PIECES, st.sampled_from(["\n", "\r\n"]), st.data())
def test_adding_and_removing_changes_those_lines_alone(
    pieces: list[tuple[str, str]], newline: str, data: st.DataObject
) -> None:
    text = file(pieces, newline)
    draft = read(text)
    draft.add(granting(9))
    assert models(draft.text) == draft.bindings
    assert [line for line in draft.text.split("\n") if line in text.split("\n")] != []
    draft.remove(Selector(request="REQ-9").fits)
    assert draft.text == text
    gone = data.draw(st.integers(0, len(pieces) - 1))
    draft.remove(Selector(user=f"P{gone}@tradepulse.example").fits)
    chunk = FORMS[pieces[gone][0]].replace("NAME", f"p{gone}@tradepulse.example").replace("\n", newline)
    # Blank lines behind a block of text are the text's own.
    if len(pieces) > 1 and not (pieces[gone][0] == "text" and pieces[gone][1].startswith("\n")):
        assert draft.text == text.replace(chunk, "", 1)
    assert models(draft.text) == draft.bindings
    assert len(draft.bindings) == len(pieces) - 1


@given(PIECES, st.sampled_from(["\n", "\r\n"]), st.data())
def test_narrowing_and_shortening_keep_the_rest_of_the_binding(
    pieces: list[tuple[str, str]], newline: str, data: st.DataObject
) -> None:
    draft = read(file(pieces, newline))
    before = draft.bindings
    number = data.draw(st.integers(0, len(pieces) - 1))
    meant = Selector(user=f"p{number}@tradepulse.example").fits
    until = granting(1).expires
    assert until is not None
    assert draft.narrow(meant, ["dev"]) == [before[number]]
    assert draft.shorten(meant, until) == [before[number].model_copy(update={"environments": ["prod"]})]
    after = models(draft.text)
    assert after == draft.bindings
    assert after[number] == before[number].model_copy(update={"environments": ["prod"], "expires": until})
    assert after[:number] + after[number + 1 :] == before[:number] + before[number + 1 :]


def test_nothing_is_ever_made_longer() -> None:
    draft = read(file([("text", "")]))
    assert draft.shorten(lambda _: True, granting(1, seconds=10 * 365 * 86400).expires) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["version: 1\nbindings: []\n", "version: 1\nbindings: []", "bindings: [] # x\nversion: 1\n"]
)
def test_the_first_binding_goes_into_an_empty_list_and_the_last_leaves_one(text: str) -> None:
    draft = read(text)
    draft.add(granting(3))
    assert models(draft.text) == draft.bindings
    draft.remove(lambda _: True)
    assert models(draft.text) == []
    again = read(draft.text)
    again.add(granting(3))
    assert len(models(again.text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1, "bindings": []}\n',
        "version: 1\nbindings: [{subject: {user: a@b.example}, role: viewer, environments: [dev]}]\n",
    ],
)
def test_a_list_on_one_line_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InvalidInput, match="flow-bindings"):
        read(text)


def test_a_selector_without_a_criterion_does_not_mean_all() -> None:
    with pytest.raises(ValueError, match="every binding"):
        Selector()
