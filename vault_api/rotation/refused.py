"""How the commands of this room say no."""

from __future__ import annotations


class CommandRefused(Exception):
    """A command was not carried out, or its end is not proven. The text is one clear line with the next step."""
