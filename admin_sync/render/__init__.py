"""Plans for people and for machines: one view of a plan, and a renderer for each reader.

    view       the plan as plain JSON data, secrets masked; also what a saved plan holds
    text       for a terminal
    markdown   for a pull request
    github     annotations of a workflow run

A new renderer is a function from views to text and a line in `RENDERERS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from admin_sync.model import Json
from admin_sync.render.github import CONFIGURATION, github
from admin_sync.render.markdown import markdown
from admin_sync.render.text import text
from admin_sync.render.view import document, summed, view

__all__ = ["RENDERERS", "document", "summed", "view"]


class Renderer(Protocol):
    """Views of plans to text. `directory` is where the configuration stands, for annotations."""

    def __call__(self, views: Sequence[Json], colour: bool = False, directory: str = CONFIGURATION, /) -> str: ...


def _json(views: Sequence[Json], _colour: bool = False, _directory: str = "") -> str:
    return json.dumps(document(views), indent=2, ensure_ascii=False) + "\n"


RENDERERS: Final[Mapping[str, Renderer]] = {
    "text": text,
    "json": _json,
    "markdown": markdown,
    "github": github,
}
