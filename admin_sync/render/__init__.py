"""Plans for people and for machines: one view of a plan, and a renderer for each reader.

    view       the plan as plain JSON data, secrets masked; also what a saved plan holds
    text       for a terminal
    markdown   for a pull request
    github     annotations of a workflow run

A new renderer is a function from views to text and a line in `RENDERERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from admin_sync.model import Json
from admin_sync.render.github import github
from admin_sync.render.markdown import markdown
from admin_sync.render.text import text
from admin_sync.render.view import document, view

__all__ = ["RENDERERS", "document", "view"]


def _json(views: Sequence[Json], _colour: bool) -> str:
    return json.dumps(document(views), indent=2, ensure_ascii=False) + "\n"


RENDERERS: Final[Mapping[str, Callable[[Sequence[Json], bool], str]]] = {
    "text": text,
    "json": _json,
    "markdown": markdown,
    "github": github,
}
