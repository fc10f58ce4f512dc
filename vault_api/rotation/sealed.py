"""Which tables hold sealed values, and how one of their rows is read and written back under another key.

A table that is added to the schema with something sealed in it belongs here: a rotation does not
complete while the census (`vault.census`, which finds such tables by itself) still counts a row of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TYPES = {"number": "bigint"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTable:
    """A table of the schema `vault` with sealed values in it. All names are constants of this module.

    keys:    the columns of its primary key after the partner; the first one is the place's connection
    values:  column -> kind, as in `Place`
    version: the column with the place's version, None where that is always 1
    within:  a column of bytes that goes into the kind, as `kind/hex`
    """

    name: str
    keys: Sequence[str]
    values: Mapping[str, str]
    version: str | None = None
    within: str | None = None

    @property
    def select(self) -> str:
        """A page of rows that are not under key version $2, from behind the key $4…: at most $3 of them.

        Each row: `row_version` (it changes with every change of the row), key_version, place_version,
        place_within, the key's columns, the values' columns.
        """
        version, within = self.version or "1", self.within or "NULL::bytea"
        columns = ", ".join(f"k.{name}" for name in (*self.keys, *self.values))
        first = len(self.keys)
        after = ", ".join(f"${number}::{_type(key)}" for number, key in enumerate(self.keys, 4))
        return (
            f"SELECT k.xmin::text::bigint AS row_version, k.key_version, {version} AS place_version, "  # noqa: S608
            f"{within} AS place_within, {columns} "
            f"FROM vault.{self.name} k WHERE k.partner = $1 AND k.key_version <> $2 "
            f"AND (${4 + first}::boolean OR ({', '.join(f'k.{key}' for key in self.keys)}) > ({after})) "
            f"ORDER BY {', '.join(f'k.{key}' for key in self.keys)} LIMIT $3"
        )

    @property
    def update(self) -> str:
        """Writes values under key version $2 into the rows that are still as they were read.

        $3 row versions, then an array for each of the key's and the values' columns. A row that
        somebody holds is passed over; it comes up again in the next page. Answers the rows written.
        """
        names = (*self.keys, *self.values)
        types = ["bigint", *(_type(key) for key in self.keys), *("bytea" for _ in self.values)]
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 3))
        same = " AND ".join(f"k.{key} = u.{key}" for key in self.keys)
        sets = ", ".join(f"{column} = u.{column}" for column in self.values)
        return (
            f"WITH u AS (SELECT * FROM unnest({arrays}) AS u (row_version, {', '.join(names)})), "  # noqa: S608
            f"held AS MATERIALIZED (SELECT {', '.join(f'k.{key}' for key in self.keys)} FROM vault.{self.name} k "
            f"JOIN u ON k.partner = $1 AND {same} WHERE k.xmin::text::bigint = u.row_version "
            f"FOR UPDATE OF k SKIP LOCKED) "
            f"UPDATE vault.{self.name} k SET key_version = $2, {sets} FROM u JOIN held USING ({', '.join(self.keys)}) "
            f"WHERE k.partner = $1 AND {same} RETURNING 1"
        )


def _type(column: str) -> str:
    return _TYPES.get(column, "text")


_TOKENS = {"access_sealed": "access_token", "refresh_sealed": "refresh_token"}

SEALED: Sequence[SealedTable] = (
    SealedTable(name="credential", keys=("connection",), values=_TOKENS, version="version"),
    SealedTable(name="link_pending", keys=("connection",), values=_TOKENS, version="version"),
    SealedTable(name="revocation", keys=("connection", "number"), values=_TOKENS, version="version"),
    SealedTable(
        name="link_attempt",
        keys=("connection", "subject"),
        values={"verifier_sealed": "pkce_verifier"},
        within="state_hash",
    ),
    SealedTable(name="alert_route", keys=("route",), values={"secret_sealed": "alert_secret"}),
    SealedTable(name="lease", keys=("lease",), values={"sealed": "lease_token"}),
)
