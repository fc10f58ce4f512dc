"""certify items and decide: the reviewer's side of a certification, as the person who is logged in."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from admin_sync.commands.arguments import command
from admin_sync.commands.certifying import Quarter, app
from admin_sync.commands.options import Options
from admin_sync.commands.requesting import access_service
from admin_sync.console import DONE, REFUSED
from admin_sync.errors import Misconfigured
from admin_sync.model import Json

if TYPE_CHECKING:
    from admin_sync.access.client import AccessClient

__all__ = ["app"]

_AT_ONCE: Final = 100
"""Decisions of one call."""


class Word(StrEnum):
    """What a reviewer says."""

    KEEP = "keep"
    REVOKE = "revoke"


Said = Annotated[Word, typer.Argument(metavar="keep|revoke", help="What you decide.")]
Items = Annotated[list[str], typer.Argument(metavar="ITEM...", help="The items, as `certify items` shows them.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the evidence.")]
Hash = Annotated[
    str | None, typer.Option("--hash", metavar="HASH", help="The text that you read, of one item; no other is decided.")
]
Every = Annotated[bool, typer.Option("--all", help="Also what is decided already, and what you hold yourself.")]


@command(app, "items")
def certify_items(options: Options, *, quarter: Quarter = None, every: Every = False) -> int:
    """Show what waits for your decision: who holds what, since when, when it was last used, what speaks against it."""
    with access_service(options) as service:
        wanted = quarter or _quarter(service)
        found: list[Json] = []
        after: int | None = 0
        while after is not None:
            page = service.get(f"/campaigns/{wanted}/items", after=after, undecided=str(not every).lower())
            found += page["items"]
            options.console.progress(f"{len(found)} of {page['total']} items")
            after = page["next"]
    if options.console.as_json:
        options.console.json({"quarter": wanted, "items": found})
    else:
        options.console.data("".join(_item(one) for one in found) or "nothing waits for you\n")
    return DONE


@command(app, "decide")
def certify_decide(
    options: Options, *, verdict: Said, item: Items, why: Why, quarter: Quarter = None, hash_: Hash = None
) -> int:
    """Keep or revoke, with a reason and a fresh login. Exactly the text that you were shown is decided about."""
    with access_service(options) as service:
        wanted = quarter or _quarter(service)
        texts = {item[0]: hash_} if hash_ is not None and len(item) == 1 else _texts(service, wanted, item)
        answers: list[Json] = []
        for start in range(0, len(item), _AT_ONCE):
            words = [
                {"item": one, "hash": texts[one], "verdict": verdict.value, "reason": why}
                for one in item[start : start + _AT_ONCE]
            ]
            answers += service.post(f"/campaigns/{wanted}/decisions", {"decisions": words})["answers"]
    if options.console.as_json:
        options.console.json({"quarter": wanted, "answers": answers})
    for one in answers:
        if one["code"] == "taken":
            options.console.say(f"{one['item']}: {verdict.value}")
        else:
            options.console.complain(f"{one['item']}: {one['code']}: {one['why']}")
    return DONE if all(one["code"] == "taken" for one in answers) else REFUSED


def _quarter(service: AccessClient) -> str:
    """The campaign that is open. Raises Misconfigured where none is."""
    for one in service.get("/campaigns")["campaigns"]:
        if one["state"] == "open":
            return str(one["quarter"])
    raise Misconfigured("no campaign is open; name one with --quarter")


def _texts(service: AccessClient, quarter: str, wanted: Collection[str]) -> dict[str, str]:
    """The hashes of some items as they are shown to this person. Raises Misconfigured for one that is not."""
    found: dict[str, str] = {}
    after: int | None = 0
    while after is not None and not found.keys() >= set(wanted):
        page = service.get(f"/campaigns/{quarter}/items", after=after)
        found |= {one["item"]["key"]: one["hash"] for one in page["items"]}
        after = page["next"]
    missing = set(wanted) - found.keys()
    if missing:
        raise Misconfigured(f"{min(missing)}: there is no such item that you have a say in; see certify items")
    return found


def _item(one: Json) -> str:
    from admin_sync.certification.item import Item  # noqa: PLC0415
    from admin_sync.certification.report.words import SIGNS, day, last_use  # noqa: PLC0415

    item = Item.of(one["item"])
    signs = "".join(f"  ! {SIGNS[sign]}" for sign in one["item"]["signs"])
    said = "".join(f"\n    {voice['verdict']} by {voice['reviewer']}: {voice['reason']}" for voice in one["decisions"])
    sensitive = f"; sensitive: {', '.join(item.sensitive)}" if item.sensitive else ""
    since = day(one["item"]["since"]) or "unknown"
    return (
        f"{item.key}  {item.holder}  {item.target}  in {', '.join(item.environments)}{signs}\n"
        f"    since {since}, last used {last_use(one['item'])}{sensitive}{said}\n"
    )
