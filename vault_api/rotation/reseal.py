"""From one key to another: pure work on a page of rows, meant for a thread, for it takes the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vault_api.rotation.sealed import SealedTable
from vault_api.sealing.envelope import Place, SealError, open_sealed, seal
from vault_api.sealing.keys import PartnerKey


@dataclass(frozen=True, slots=True)
class Resealed:
    """A page, resealed: one column of the statement's arrays each, and the keys of the rows that did not open."""

    columns: Sequence[Sequence[Any]] = field(repr=False)
    opened: int
    failed: Sequence[tuple[Any, ...]]


def reseal(
    table: SealedTable,
    partner: str,
    rows: Sequence[Mapping[str, Any]],
    keys: Mapping[int, PartnerKey],
    target: PartnerKey | None,
) -> Resealed:
    """Opens every value of every row and seals it under `target`; without a target it only opens.

    A row of which one value does not open, or whose key is not there, is left as it is.
    """
    made: list[list[Any]] = []
    failed: list[tuple[Any, ...]] = []
    opened = 0
    for row in rows:
        identity = tuple(row[key] for key in table.keys)
        try:
            values = _row(table, partner, row, keys, target)
        except SealError:
            failed.append(identity)
            continue
        opened += 1
        if target is not None:
            made.append([row["row_version"], *identity, *values])
    width = 1 + len(table.keys) + len(table.values)
    columns = [[row[number] for row in made] for number in range(width)]
    return Resealed(columns=columns, opened=opened, failed=failed)


def _row(
    table: SealedTable,
    partner: str,
    row: Mapping[str, Any],
    keys: Mapping[int, PartnerKey],
    target: PartnerKey | None,
) -> Sequence[bytes | None]:
    key = keys.get(row["key_version"])
    if key is None:
        raise SealError
    values: list[bytes | None] = []
    for column, kind in table.values.items():
        sealed = row[column]
        if sealed is None:
            values.append(None)
            continue
        whole_kind = kind if table.within is None else f"{kind}/{row['place_within'].hex()}"
        place = Place(partner, str(row[table.keys[0]]), whole_kind, row["place_version"])
        plaintext = open_sealed(key, place, sealed)
        values.append(None if target is None else seal(target, place, plaintext))
    return values
