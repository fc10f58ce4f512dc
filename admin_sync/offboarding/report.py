"""What was revoked, when, and what is left: as data, and as a page for the file of whoever left. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from admin_sync.model import Json
from admin_sync.offboarding.journal import DONE, FAILED, FINISHED, RESUMED, STARTED

_SHOWN = ("commit", "revision", "ending", "now", "label", "offline_token", "after")


def report(lines: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Of the lines of one case: what was taken and when, what failed in its last run, and how long it took.

    `seconds` count from the first line of the case to its last; of a run that was cut off, the pause is in it.
    """
    first, last = lines[0], lines[-1]
    cuts = [number for number, line in enumerate(lines) if line["what"] in (STARTED, RESUMED)]
    return {
        "person": first["email"],
        "addresses": first["addresses"],
        "by": first["by"],
        "started": first["at"],
        "ended": last["at"],
        "seconds": round(_moment(last) - _moment(first), 3),
        "runs": len(cuts),
        "complete": last["what"] == FINISHED and last["complete"],
        "revoked": [_revoked(line, _moment(first)) for line in lines if line["what"] == DONE],
        "failed": [
            {"step": line["step"], "place": line["place"], "what": line["item"], "reason": line["reason"]}
            for line in lines[cuts[-1] :]
            if line["what"] == FAILED
        ],
    }


def markdown(found: Mapping[str, Json]) -> str:
    """The report as a page."""
    return "\n".join(_page(found)) + "\n"


def _page(found: Mapping[str, Json]) -> Iterator[str]:
    yield f"# Offboarding of {found['person']}"
    yield ""
    state = "complete" if found["complete"] else "**not complete: run it again**"
    when = f"{found['started']} to {found['ended']} ({found['seconds']} s, {found['runs']} run(s))"
    yield f"{state}; {when}, by {found['by']}"
    yield ""
    yield "| when | after | step | where | what | more |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in found["revoked"]:
        more = ", ".join(f"{name}: {_cell(one['detail'][name])}" for name in _SHOWN if one["detail"].get(name))
        yield (
            f"| {one['at']} | {one['after_seconds']} s | {one['step']} | {one['place'] or 'everywhere'} "
            f"| {_cell(one['what'])} | {more} |"
        )
    if found["failed"]:
        yield ""
        yield "## Left"
        yield ""
        for one in found["failed"]:
            where = f" in {one['place']}" if one["place"] else ""
            yield f"- {one['step']}{where}: {_cell(one['reason'])}"


def _revoked(line: Mapping[str, Json], start: float) -> dict[str, Json]:
    return {
        "at": line["at"],
        "after_seconds": round(_moment(line) - start, 3),
        "step": line["step"],
        "place": line["place"],
        "what": line["item"],
        "detail": line["detail"],
    }


def _moment(line: Mapping[str, Json]) -> float:
    return datetime.fromisoformat(str(line["at"])).timestamp()


def _cell(value: Json) -> str:
    """A value on one line of a table; what a server or a person wrote is no Markdown."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(f"\\{sign}" if sign in "|<>[]*_`\\" else sign for sign in " ".join(text.split()))
