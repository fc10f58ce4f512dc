"""The documents that our providers in the server decide by, each an attribute of the realm.

What stands there is compared as a whole: whatever we would not have written in just these characters is
shown as a difference, so that nothing can be added to a rule unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from admin_sync.desired.rules import ATTRIBUTES, FIELDS, FOREIGN
from admin_sync.diff import Action, Change
from admin_sync.keycloak.adapter import Reader, Writer, attribute
from admin_sync.keycloak.base import representation
from admin_sync.model import Json, Ref, Resource
from admin_sync.refs import REALM_RULE


class RealmRuleAdapter:
    """Reads and writes what `admin_sync.desired.rules` makes."""

    kind = REALM_RULE

    def read(self, reader: Reader) -> Iterable[Resource]:
        """Every document that the realm carries."""
        for name, carried in ATTRIBUTES.items():
            text = attribute(reader.representation or {}, carried)
            if text is not None:
                yield Resource(Ref(REALM_RULE, name), parsed(name, text))

    def write(self, writer: Writer, change: Change) -> None:
        """Replace one document."""
        if change.action is Action.DELETE or change.after is None:
            raise ValueError("a rule of a realm is emptied and not deleted")
        text = written(change.after.attrs)
        representation.change(writer, {"attributes": {ATTRIBUTES[change.ref.name]: text}})


def written(attrs: Mapping[str, Json]) -> str:
    """A document as the realm carries it: JSON without spaces, keys in order, absent parts left out."""
    said = {name: value for name, value in attrs.items() if value is not None and name != FOREIGN}
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()


def parsed(name: str, text: str) -> dict[str, Json]:
    """A document's fields. One that is not in the form of `written` is under `not_ours` as it is."""
    fields = FIELDS[name]
    try:
        found: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not _known(found, fields) or written(found) != text:
        return {**dict.fromkeys(fields), FOREIGN: text}
    return {**{field: found.get(field) for field in fields}, FOREIGN: None}


def _known(found: Mapping[str, Json], fields: Mapping[str, frozenset[str]]) -> bool:
    """Whether there is nothing in a document that a comparison key by key would not look at."""
    return found.keys() <= fields.keys() and all(
        part.keys() <= fields[name] for name, part in found.items() if isinstance(part, Mapping)
    )
