"""The report as one HTML file that needs nothing else: no script, no link, no font, no image from anywhere. Pure.

It is evidence, so it does nothing; what folds is HTML's own `details`. Every text goes through `escape`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from admin_sync.certification.report.style import STYLE
from admin_sync.certification.report.words import FATES, SIGNS, day, last_use, minute, target
from admin_sync.model import Json

_SECTIONS: Final = (
    ("Taken away", ("revoked", "revoked_undecided"), "The commit above takes these out of role_bindings.yaml."),
    ("Still undecided", ("undecided",), "Nobody decided about these in time, and policy leaves them for now."),
    ("Gone meanwhile", ("gone",), "These were taken away or changed by others while the campaign was open."),
)


def page(report: Mapping[str, Json]) -> str:
    """The whole document."""
    return "".join(_document(report))


def _document(report: Mapping[str, Json]) -> Iterator[str]:
    campaign = report["campaign"]
    title = f"Access certification {escape(campaign['quarter'])}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    yield f"<p>Opened {minute(campaign['opened_at'])} by {escape(campaign['opened_by'])}, "
    yield f"due {day(campaign['due'])}, closed {minute(campaign['closed_at'])} by {escape(campaign['closed_by'])}. "
    yield "All times are UTC.</p>\n</header>\n<main>\n"
    yield from _summary(report)
    yield from _reviewers(report["reviewers"])
    for heading, fates, note in _SECTIONS:
        rows = [one for one in report["items"] if one["fate"] in fates]
        if rows:
            yield f"<section>\n<h2>{heading} <span class=n>{len(rows)}</span></h2>\n<p>{note}</p>\n"
            yield from _items(rows)
            yield "</section>\n"
    yield from _kept(report["items"])
    yield from _terms(report)
    yield "</main>\n</body>\n</html>\n"


def _summary(report: Mapping[str, Json]) -> Iterator[str]:
    figures = report["figures"]
    fates: Mapping[str, int] = figures["fates"]
    taken = fates["revoked"] + fates["revoked_undecided"]
    share, orphans, unused = figures["decided_share"], figures["orphaned_identities"], figures["signs"]["stale"]
    yield "<section>\n<dl class=cards>\n"
    for name, value, mood in (
        ("Bindings reviewed", f"{figures['items']:,}", ""),
        ("Decided by a reviewer", "none" if share is None else f"{share:.1%}", "" if share == 1 else "warn"),
        ("Taken away", f"{taken:,}", ""),
        ("Still undecided", f"{fates['undecided']:,}", "warn" if fates["undecided"] else ""),
        ("Orphaned identities", f"{orphans:,}", "warn" if orphans else ""),
        ("Unused bindings", f"{unused:,}", "warn" if unused else ""),
    ):
        yield f'<div class="card {mood}"><dt>{name}</dt><dd>{value}</dd></div>\n'
    yield "</dl>\n"
    yield from _bar(fates, figures["items"])
    yield "<div class=wide><table class=figures>\n<caption>By environment</caption>\n<thead><tr><th>Environment"
    yield from (f"<th class=num>{FATES[fate]}" for fate in FATES)
    yield "</tr></thead>\n<tbody>\n"
    for name, counts in figures["environments"].items():
        cells = "".join(f"<td class=num>{counts[fate]:,}" for fate in FATES)
        yield f"<tr><th scope=row>{escape(name)}{cells}</tr>\n"
    yield "</tbody></table></div>\n"
    commit = report["commit"]
    yield f"<p>Commit: {f'<code>{escape(commit)}</code>' if commit else 'none was needed'}."
    if report["pull_request"]:
        yield f" It waits to be merged: <code>{escape(report['pull_request'])}</code>."
    yield "</p>\n</section>\n"


def _bar(fates: Mapping[str, int], total: int) -> Iterator[str]:
    """One line of all fates; the words beside it say the same."""
    shown = [(name, count) for name, count in fates.items() if count]
    if not shown:
        return
    yield '<div class=bar aria-hidden="true">'
    yield from (f'<i class="{name}" style="width:{count / total:.4%}"></i>' for name, count in shown)
    yield "</div>\n<ul class=legend>"
    yield from (f'<li><i class="{name}"></i>{FATES[name]} {count:,} ({_share(count, total)})' for name, count in shown)
    yield "</ul>\n"


def _share(count: int, total: int) -> str:
    # Of few among thousands, 0.0 % would say that there are none.
    return f"{count / total:.1%}" if count * 1000 >= total else "under 0.1%"


def _reviewers(rows: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    if not rows:
        return
    yield f"<section>\n<h2>Reviewers <span class=n>{len(rows)}</span></h2>\n"
    yield "<div class=wide><table class=figures>\n<thead><tr><th>Reviewer"
    yield "<th class=num>Decisions<th class=num>Kept<th class=num>Revoked"
    yield "<th class=num>Different reasons<th class=num>Seconds between two<th>Remark</tr></thead>\n<tbody>\n"
    for one in rows:
        pace = "" if one["seconds_between"] is None else f"{one['seconds_between']:,}"
        remark = "<span class=tag>kept everything, faster than one can read</span>" if one["hasty"] else ""
        numbers = "".join(f"<td class=num>{one[name]:,}" for name in ("decisions", "kept", "revoked", "reasons"))
        yield f"<tr><th scope=row>{escape(one['reviewer'])}{numbers}<td class=num>{pace}<td>{remark}</tr>\n"
    yield "</tbody></table></div>\n</section>\n"


def _kept(items: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    kept = [one for one in items if one["fate"] == "kept"]
    doubtful = [one for one in kept if one["signs"]]
    if doubtful:
        yield f"<section>\n<h2>Kept against a sign <span class=n>{len(doubtful)}</span></h2>\n"
        yield "<p>The roster or the record of use speaks against these, and a reviewer kept them for a reason.</p>\n"
        yield from _items(doubtful)
        yield "</section>\n"
    rows = [one for one in kept if not one["signs"]]
    if rows:
        yield f"<section>\n<h2>Kept without a sign against it <span class=n>{len(rows)}</span></h2>\n"
        yield "<details>\n<summary>Show all</summary>\n"
        yield from _items(rows)
        yield "</details>\n</section>\n"


def _items(rows: Iterable[Mapping[str, Json]]) -> Iterator[str]:
    yield "<div class=wide><table class=items>\n<thead><tr><th>Holder<th>Gives<th>Where<th>Since<th>Last used<th>Signs"
    yield "<th>Decision</tr></thead>\n<tbody>\n"
    for one in rows:
        name = f"<small>{escape(one['name'])}</small>" if one["name"] else ""
        expires = one["binding"].get("expires")
        until = f"<small>until {day(expires)}</small>" if expires else ""
        sensitive = f"<small>{escape(', '.join(one['sensitive']))}</small>" if one["sensitive"] else ""
        signs = "".join(f"<span class=tag>{SIGNS[sign]}</span>" for sign in one["signs"])
        yield f"<tr><td>{_address(one['binding']['subject']['user'])}{name}<td>{escape(target(one))}{sensitive}"
        yield f"<td>{escape(', '.join(one['binding']['environments']))}<td class=day>{day(one['since']) or 'unknown'}"
        yield f"{until}<td class=day>{last_use(one).replace('since ', 'since<br>')}<td>{signs}<td>{_said(one)}</tr>\n"
    yield "</tbody></table></div>\n"


def _address(email: str) -> str:
    # A long address breaks where a reader would break it.
    return escape(email).replace("@", "<wbr>@")


def _said(item: Mapping[str, Json]) -> str:
    if not item["decisions"]:
        return f"<em>{FATES[item['fate']]}</em>"
    return "".join(
        f"<b class={one['verdict']}>{one['verdict']}</b> {escape(one['reason'])}"
        f"<small>{escape(one['reviewer'])} as {escape(one['capacity'].replace('_', ' '))}, {minute(one['at'])}, "
        f"{escape(one['acr'])}</small>"
        for one in item["decisions"]
    )


def _terms(report: Mapping[str, Json]) -> Iterator[str]:
    roster, policy = report["roster"], report["policy"]
    yield "<section>\n<h2>What this rests on</h2>\n<dl class=terms>\n"
    since = "; ".join(f"{realm} since {day(at)}" for realm, at in report["recorded_since"].items()) or "no record"
    for name, value in (
        ("HR roster", f"{roster['source']}, {roster['people']} people, SHA-256 {roster['sha256']}"),
        ("Record of use", since),
        ("Certification every", policy["every"]),
        ("Unused means not seen for", policy["stale_after"]),
        ("Undecided bindings", _UNDECIDED[policy["undecided"]]),
        ("Bindings whose maker nobody knows", str(report["figures"]["unknown_provisioner"])),
    ):
        yield f"<dt>{name}<dd>{escape(value)}\n"
    yield "</dl>\n<p>Each item is bound by its hash to what the reviewer was shown, and each decision to a stepped-up "
    yield "session; both are in report.json. <code>admin-sync certify verify</code> checks the signature.</p>\n"
    yield "</section>\n"


_UNDECIDED: Final = {
    "report": "are reported and stay",
    "revoke_proposed": "are taken away where a sign speaks for that, and reported otherwise",
    "revoke": "are taken away",
}
