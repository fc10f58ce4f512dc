"""The JSON schemas for editors: current, true of the sample, and never stricter than the loader."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_sync.cli import main
from admin_sync.load.document import FILES
from admin_sync.load.expand import expand
from admin_sync.load.json_schema import file_name, published, schema_of, schemas
from admin_sync.load.shape import shaped
from admin_sync.load.strict_yaml import scan_file

SAMPLE = Path(__file__).resolve().parents[2] / "configs" / "iam"
VALIDATORS = {file: jsonschema_rs.validator_for(schema_of(file)) for file in FILES}


def sample(file: str) -> Any:
    source, findings = scan_file(SAMPLE / file)
    assert source is not None
    assert findings == []
    return source.data


def test_the_schemas_that_are_published_are_those_of_the_loader() -> None:
    """`make docs` writes them anew."""
    assert published() == schemas()


@pytest.mark.parametrize("file", FILES)
def test_the_sample_is_valid(file: str) -> None:
    assert [error.message for error in VALIDATORS[file].iter_errors(sample(file))] == []


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.text(max_size=12),
    st.sampled_from(["90d", "12x", "20%", "${PAPER:-x}", "${OPEN", "a/b", "a:b", "A", "aal2", "public"]),
    st.sampled_from([[], {}, ["x"], {"env": "X"}, {"file": "x", "env": "X"}, {"user": "a@example.test"}]),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deep for key, child in inner for deep in places(child, (*path, key)))]


def mutated(document: Any, draw: st.DataObject) -> Any:
    """The document with one thing added, removed, renamed or replaced."""
    document = copy.deepcopy(document)
    path = draw.draw(st.sampled_from([one for one in places(document) if one]))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    how = draw.draw(st.sampled_from(["replace", "remove", "rename", "add"]))
    if how == "replace":
        holder[key] = draw.draw(SCALARS)
    elif how == "remove":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        holder[draw.draw(st.sampled_from(["other", "Upper", "a b", "role", "group", "description"]))] = holder.pop(key)
    elif isinstance(holder, list):
        holder.append(draw.draw(SCALARS))
    else:
        holder[draw.draw(st.sampled_from(["extra", "expires", "enabled_if", "roles"]))] = draw.draw(SCALARS)
    return document


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_schema_refuses_the_loader_refuses(tmp_path: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(FILES)))
    document = mutated(sample(file), data)
    path = tmp_path / file
    path.write_text(yaml.safe_dump(document, allow_unicode=True))
    source, findings = scan_file(path)
    if source is None or findings:
        return
    if not VALIDATORS[file].is_valid(source.data):
        filled, unfilled = expand(source, {})
        _, wrong = shaped(source, filled, FILES[file], set())
        assert unfilled + wrong != []


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("roles.yaml", ("roles", "viewer", "permisions"), []),
        ("roles.yaml", ("realm", "name"), "Trade Pulse"),
        ("roles.yaml", ("groups", "Research"), {}),
        ("roles.yaml", ("version",), 2),
        ("policies.yaml", ("certification", "every"), "90 days"),
        ("policies.yaml", ("assurance", "interactive"), "aal4"),
        ("role_bindings.yaml", ("bindings", 0, "role"), "viewer"),
        ("role_bindings.yaml", ("bindings", 0, "expires"), "tomorrow"),
        ("partners.yaml", ("partners", "acme-capital", "admins"), "admin@acme.example"),
        ("brokers.yaml", ("brokers", "paper", "client_secret"), "secret"),
    ],
)
def test_an_editor_marks_the_common_mistakes(file: str, path: tuple[Any, ...], value: Any) -> None:
    document = sample(file)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert not VALIDATORS[file].is_valid(document)


def test_the_command_prints_one_and_writes_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["admin-sync", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    code, out = run("schema", "roles.yaml")
    assert (code, json.loads(out)) == (0, schema_of("roles.yaml"))
    assert run("schema", "--write", str(tmp_path / "schemas"))[0] == 0
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == {file_name(file) for file in FILES}
    assert run("schema", "other.yaml")[0] == 3
    assert json.loads(run("schema", "--json")[1])[0] == {"file": "roles.yaml", "schema": "roles.schema.json"}
