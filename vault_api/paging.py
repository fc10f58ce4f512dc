"""Query parameters of pages. They are read after the caller is known, so a stranger learns nothing from a 422."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import QueryParams

from vault_api.problems import invalid

DEFAULT = 100
LARGEST = 500


def page_size(query: QueryParams) -> int:
    """`limit`: 1 to 500, 100 if absent. Raises Problem 422."""
    return whole_number(query, "limit", default=DEFAULT, smallest=1, largest=LARGEST)


def seq_after(query: QueryParams) -> int:
    """`after` as a sequence number, 0 if absent. Raises Problem 422."""
    return whole_number(query, "after", default=0, smallest=0, largest=2**53 - 1)


def name_after(query: QueryParams, is_name: Callable[[str], bool]) -> str | None:
    """`after` as a name, None if absent. Raises Problem 422."""
    given = query.getlist("after")
    if not given:
        return None
    if len(given) != 1 or not is_name(given[0]):
        raise invalid("give `after` once, as `next` of the page before said")
    return given[0]


def whole_number(query: QueryParams, name: str, *, default: int, smallest: int, largest: int) -> int:
    given = query.getlist(name)
    if not given:
        return default
    # int() would also take signs, spaces, underscores and the digits of every script.
    text = given[0]
    if len(given) != 1 or not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise invalid(f"give `{name}` once, as a whole number")
    number = int(text)
    if not smallest <= number <= largest:
        raise invalid(f"`{name}` must be {smallest} to {largest}")
    return number
