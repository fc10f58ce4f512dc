"""A report as a page of HTML that needs nothing else: to be mailed or put away. Everything in it is escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from admin_sync.auth_health.markdown import headline
from admin_sync.auth_health.report import Report
from admin_sync.auth_health.tables import Table, tables
from identity import chart

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b2430;--soft:#5a6675;--line:#d7dde5;--good:#17713a;
--bad:#b3261e;--first:#1f5fbf;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a3afbf;--line:#344154;--good:#6fd08c;
--bad:#ff9a91;--first:#8ab4ff;--paper:#141a22}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%}th,td{padding:.35rem .6rem;
border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child{text-align:left;font-weight:400}thead th{color:var(--soft);font-weight:600}
td.good{color:var(--good)}td.bad{color:var(--bad);font-weight:700}p.soft{color:var(--soft)}
.scroll{overflow-x:auto}
svg.chart{width:100%;height:auto}svg .grid{stroke:var(--line)}svg .axis{fill:var(--soft);font-size:11px}
svg rect.first{fill:var(--first)}svg rect.second{fill:var(--bad)}
"""


def document(report: Report) -> str:
    """The whole page."""
    return "".join(_parts(report))


def _parts(report: Report) -> Iterator[str]:
    title = f"Auth health of {report.day:%Y-%m-%d}"
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
    yield f"<p>{escape(headline(report))}</p>"
    yield f'<p class="soft">Made {report.made_at:%Y-%m-%d %H:%M} UTC; the day is in UTC.</p>'
    yield "<h2>Logins and faults by the hour</h2>"
    hours = [f"{point.since:%H}" for point in report.hours]
    yield chart.bars(
        "Logins and faults by the hour; the day's sums are in the table below",
        hours,
        [
            chart.Line("logins", [point.totals.logins for point in report.hours]),
            chart.Line("faults", [point.totals.faults for point in report.hours], "second"),
        ],
        largest=4.0,
    )
    for table in tables(report):
        yield f"<h2>{escape(table.title)}</h2>"
        yield _table(table)
    if report.answers.words:
        yield "<h2>What people said</h2><ul>"
        yield from (f"<li>{escape(words)}</li>" for words in report.answers.words)
        yield "</ul>"
    silent = [one for one in report.sources if one.problem]
    if silent:
        yield "<h2>What could not be read</h2><ul>"
        yield from (f"<li>{escape(one.name)}: {escape(one.problem or '')}</li>" for one in silent)
        yield "</ul>"
    yield "</main></body></html>\n"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in table.columns)
    rows = "".join(
        "<tr>"
        + f'<th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{_kind(one)}>{escape(one)}</td>" for one in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _kind(text: str) -> str:
    return f' class="{text}"' if text in ("good", "bad") else ""
