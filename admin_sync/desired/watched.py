"""Declared objects that exist and are not ours, where an environment only watches them.

One that is as declared is left alone; our mark would be the only difference. One that differs stays
in the desired state with its mark, so that the plan shows it and the guard asks before it is ours.
"""

from __future__ import annotations

from admin_sync.desired.parts import Parts
from admin_sync.diff import differences
from admin_sync.model import MANAGED_ATTRIBUTE, Resource


def watch(parts: Parts) -> None:
    """Take back what is desired of other people's objects that are as declared."""
    for ref, wanted in list(parts.resources.items()):
        found = parts.current.resources.get(ref)
        if found is not None and not found.managed and wanted.attrs and only_the_mark(wanted, found):
            parts.resources[ref] = Resource(ref, {}, origin=wanted.origin)


def only_the_mark(wanted: Resource, found: Resource) -> bool:
    """Whether nothing but our mark is missing."""
    paths = [one.path for one in differences(wanted, found)]
    return bool(paths) and all(is_mark(path) for path in paths)


def is_mark(path: str) -> bool:
    """Whether an attribute of a resource is our mark, in whichever place its kind keeps it."""
    return path == "managed_by" or path.endswith(f".{MANAGED_ATTRIBUTE}")
