"""Documents point to what exists: every relative link, every `make` target, every command of ours."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:^|[`\s])make ([a-z][a-z-]*)", re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(CHECKOUT / name for name in listed.split("\0") if name and (CHECKOUT / name).is_file())


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def anchors(document: Path) -> set[str]:
    """The anchors that a Markdown renderer makes of headings."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_there_are_documents_to_check() -> None:
    assert CHECKOUT / "README.md" in documents()
    assert {"up", "down", "test"} <= targets()


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(document.read_text()):
        place, _, anchor = unquote(link).partition("#")
        if "://" in place or place.startswith("mailto:"):
            continue
        target = (document.parent / place).resolve() if place else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_make_target_exists(document: Path) -> None:
    code = "\n".join(part.strip("`") for part in CODE.findall(document.read_text()))
    assert set(MAKE.findall(code)) - targets() == set()


def test_every_script_of_ours_has_its_module() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    missing = []
    for entry in project["scripts"].values():
        module, _, function = entry.partition(":")
        source = CHECKOUT / (module.replace(".", "/") + ".py")
        package = CHECKOUT / module.replace(".", "/") / "__init__.py"
        text = next((path.read_text() for path in (source, package) if path.exists()), "")
        if not re.search(rf"^(?:def {function}\b|from .* import .*\b{function}\b)", text, re.MULTILINE):
            missing.append(entry)
    assert missing == []
