"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

ROOMS = (
    "identity",
    "admin_sync",
    "vault_api",
    "vault_client",
    "session_broker",
    "workspace",
    "stack",
    "tests",
    "bench",
)

MAY_IMPORT = {
    "identity": set(),
    "admin_sync": {"identity"},
    "vault_api": {"identity"},
    "vault_client": {"identity"},
    "session_broker": {"identity"},
    "workspace": {"identity"},
}
"""What of ours each room may import besides itself. Rooms that are not listed may import all."""

LONGEST = 300
"""Lines. We aim near 200; a module longer than this holds more than one idea."""

MACHINE_PATH = re.compile(r"(?:^|[^A-Za-z0-9._/-])/(?:work|root|farm)/|/var/tmp/" + "lab")
"""Directories that exist on the machine of whoever wrote a file and nowhere else."""

INDEX_OPTION = re.compile(r"--(?:extra-)?index-url[ =]+\S+://|--find-link[s][ =]+\S+|GOPROXY=\S*[:]//|<mirror[>]")
"""Ways to name a package registry. Which one to use is the machine's setting, not ours."""


@cache
def committed() -> tuple[Path, ...]:
    """The files that are, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = (CHECKOUT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def files(*suffixes: str) -> list[Path]:
    """Those of them that end like this; all without an ending."""
    return [path for path in committed() if not suffixes or path.suffix in suffixes]


@cache
def tree(path: Path) -> ast.Module:
    """A module as Python understands it."""
    return ast.parse(path.read_text(), str(path))


def room(path: Path) -> str:
    return path.relative_to(CHECKOUT).parts[0]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and first name of every absolute import in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]


def test_the_listing_sees_this_project() -> None:
    # Every other test here passes on an empty list.
    assert {room(path) for path in files(".py")} >= {"identity", "admin_sync", "vault_api", "stack", "tests"}


@pytest.mark.parametrize("importer", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_the_map_allows(importer: str) -> None:
    allowed = MAY_IMPORT[importer] | {importer}
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{line} imports {name}"
        for path in files(".py")
        if room(path) == importer
        for line, name in imported(path)
        if name in ROOMS and name not in allowed
    ]
    assert wrong == []


def test_modules_hold_one_idea() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in files(".py", ".java", ".rego")}
    # A table of cases may be long; what it tests may not.
    assert {
        str(path.relative_to(CHECKOUT)): lines
        for path, lines in lengths.items()
        if lines > LONGEST and room(path) != "tests"
    } == {}


def test_no_module_is_named_after_nothing() -> None:
    empty_names = {"utils", "util", "helpers", "common", "misc"}
    assert [path for path in files(".py") if path.stem in empty_names] == []
    managers = [
        f"{path.relative_to(CHECKOUT)}: {node.name}"
        for path in files(".py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Manager")
    ]
    assert managers == []


def test_every_package_opens_with_a_page_about_itself() -> None:
    silent = [
        str(path.relative_to(CHECKOUT))
        for path in files(".py")
        if path.name == "__init__.py" and room(path) != "tests" and not ast.get_docstring(tree(path))
    ]
    assert silent == []


def test_every_directory_with_modules_is_a_package() -> None:
    bare = {
        str(path.parent.relative_to(CHECKOUT))
        for path in files(".py")
        if room(path) in {*MAY_IMPORT, "stack"} and not (path.parent / "__init__.py").exists()
    }
    assert bare == set()


def test_no_two_test_modules_share_a_name() -> None:
    # pytest imports them by their bare names, so the second one would not be collected.
    names = Counter(path.name for path in files(".py") if room(path) == "tests" and path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_file_names_a_place_of_the_machine_it_was_written_on() -> None:
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert wrong == []


def test_no_file_names_a_package_registry() -> None:
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if INDEX_OPTION.search(line)
    ]
    assert wrong == []
    assert [path.name for path in (CHECKOUT / "requirements").glob("*.txt") if "://" in path.read_text()] == []


@pytest.mark.parametrize("name", ["product.txt", "kms.txt", "dev.txt"])
def test_every_requirement_is_pinned_by_version_and_hash(name: str) -> None:
    text = (CHECKOUT / "requirements" / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > (5 if name == "kms.txt" else 20)
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_development_runs_what_the_product_ships() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (CHECKOUT / "requirements" / name).read_text()
        return dict(re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==(\S+)", text, re.MULTILINE))

    product, development = pins("product.txt"), pins("dev.txt")
    assert {name: version for name, version in product.items() if development.get(name) != version} == {}


def texts() -> Iterator[tuple[Path, str]]:
    """Every committed file that is text."""
    for path in files():
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue
