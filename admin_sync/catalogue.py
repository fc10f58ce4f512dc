"""Every check and every guard as a page, written from their tables; `make docs` keeps it current."""

from __future__ import annotations

from admin_sync.check import CHECKS
from admin_sync.guard import GUARDS


def page() -> str:
    """docs/reference/checks.md."""
    lines = [
        "# What admin-sync checks and refuses",
        "",
        "Written by `make docs` from `admin_sync.check.CHECKS` and `admin_sync.guard.GUARDS`. A code never changes its",
        "meaning. How the files are read (shape, types, YAML itself) is in the [guide](../admin-sync.md).",
        "",
        "## Checks",
        "",
        "Of a configuration, without a server: every finding in one run, exit 3.",
        "",
        "| code | what it finds | looked for by |",
        "| --- | --- | --- |",
    ]
    rows: dict[str, tuple[list[str], list[str]]] = {}
    for one in CHECKS:
        for code, says in one.finds.items():
            meanings, functions = rows.setdefault(code, ([], []))
            meanings += [says] if says not in meanings else []
            functions.append(f"`{one.look.__name__}`")
    for code, (meanings, functions) in sorted(rows.items()):
        lines.append(f"| `{code}` | {'; '.join(meanings)} | {', '.join(functions)} |")
    lines += [
        "",
        "## Guards",
        "",
        "Of a plan against a realm, before anything is changed: every refusal in one run, exit 5, one audit line.",
        "",
        "| code | what is refused | what allows it |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{one.code}` | {one.refuses} | {one.allowed_by} |" for one in GUARDS]
    return "\n".join(lines) + "\n"
