"""A report of onboarding for people. Pure: the plain data of `run.py` to text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from admin_sync.model import Json, printable


def text(report: Mapping[str, Json]) -> str:
    """One line for each person and thing, and a last one that counts."""
    return "".join(f"{printable(line)}\n" for line in _lines(report))


def _lines(report: Mapping[str, Json]) -> Iterator[str]:
    for one in report["joined"]:
        what = ", ".join(f"{environment}: {_account(at)}" for environment, at in one["accounts"].items())
        yield f"+ {one['email']} ({one['department']}): {what}"
        if one["next"]:
            yield f"    was offboarded once and stays out; if that has changed: {one['next']}"
    for one in report["moved"]:
        changes = [
            f"{name} {one['before'][name] or 'nobody'} -> {one['after'][name] or 'nobody'}" for name in one["what"]
        ]
        yield f"~ {one['email']}: {', '.join(changes)}"
        yield from (f"    certify again: {_grant(grant)}" for grant in one["certify_again"])
    for one in report["left"]:
        yield f"- {one['email']}: {', '.join(_rest(one))}"
        yield f"    {one['next']} --why '...'"
    counts = f"{len(report['joined'])} joined, {len(report['moved'])} moved, {len(report['left'])} left"
    failed = f", {len(report['failed'])} failed; a re-run goes on with them" if report["failed"] else ""
    yield f"{'Would be' if report['dry_run'] else 'Onboarded'}: {counts}{failed}."


def _account(at: Mapping[str, Json]) -> str:
    invitation = "" if at["invitation"] == "none" else f", invited by {at['invitation']}"
    if at["account"] == "made" and not invitation:
        invitation = ", not invited yet: give --passwords FILE, or the realm a mail server"
    reason = f" ({at['reason']})" if "reason" in at else ""
    return f"account {at['account']}{invitation}{reason}"


def _grant(grant: Mapping[str, Json]) -> str:
    return f"{grant['target']} in {', '.join(grant['environments'])} ({grant['at']})"


def _rest(one: Mapping[str, Json]) -> Iterator[str]:
    yield f"last day {one['last_day']}" if one["last_day"] else "not employed"
    if one["grants"]:
        yield f"{len(one['grants'])} grants left"
    if one["accounts"]:
        yield f"can log in to {', '.join(one['accounts'])}"
