"""How the page looks, on a screen by day and by night, and on paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#dde2e9;--back:#f6f7f9;--card:#fff;--accent:#1f5fbf;
--kept:#2f8f5b;--revoked:#c0392b;--revoked-undecided:#e08e79;--undecided:#d9a400;--gone:#8a94a3;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b5;--line:#2e3744;--back:#12161c;--card:#1a2028;
--accent:#7fb0ff;--warn:#e6b450}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
header,main{max-width:78rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:2rem}
h1{font-size:1.7rem;margin:0;letter-spacing:-.01em}
h2{font-size:1.15rem;margin:0 0 .5rem}
header p,section>p{color:var(--soft);margin:.3rem 0 1rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.2rem 1.4rem;margin:1.2rem 0}
.n{color:var(--soft);font-weight:400;margin-left:.3rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;margin:0 0 1.2rem}
.card{border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem}
.card dt{color:var(--soft);font-size:.85rem}
.card dd{margin:0;font-size:1.6rem;font-weight:600;font-variant-numeric:tabular-nums}
.card.warn{border-color:var(--warn)}
.card.warn dd{color:var(--warn)}
.bar{display:flex;height:.7rem;border-radius:.35rem;overflow:hidden;background:var(--line)}
.bar i{min-width:2px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;padding:0;margin:.6rem 0 1.2rem;font-size:.9rem}
.legend i{display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.45rem}
i.kept{background:var(--kept)}i.revoked{background:var(--revoked)}i.gone{background:var(--gone)}
i.revoked_undecided{background:var(--revoked-undecided)}i.undecided{background:var(--undecided)}
table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--soft);font-size:.85rem;padding-bottom:.3rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .8rem .45rem 0;border-top:1px solid var(--line);font-weight:400}
thead th{color:var(--soft);font-size:.82rem;border-top:0;vertical-align:bottom}
.num{text-align:right;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
.items{font-size:.9rem;min-width:64rem;table-layout:fixed}
.items td{overflow-wrap:break-word}
.items .day{white-space:nowrap}
.items th:nth-child(1){width:20%}.items th:nth-child(2){width:14%}.items th:nth-child(3){width:9%}
.items th:nth-child(4){width:10%}.items th:nth-child(5){width:10%}.items th:nth-child(6){width:11%}
small{display:block;color:var(--soft);font-size:.82rem}
.tag{display:inline-block;border:1px solid var(--warn);color:var(--warn);border-radius:4px;padding:0 .4rem;
margin:0 .3rem .2rem 0;font-size:.8rem}
b.keep{color:var(--kept)}b.revoke{color:var(--revoked)}
em{color:var(--soft)}
code{font-size:.88em;overflow-wrap:anywhere}
summary{cursor:pointer;color:var(--accent);margin-bottom:.6rem}
.terms{display:grid;grid-template-columns:minmax(12rem,max-content) 1fr;gap:.35rem 1.5rem;margin:0 0 1rem}
.terms dt{color:var(--soft)}
.terms dd{margin:0;overflow-wrap:anywhere}
@media print{body{background:#fff}section{break-inside:auto;border:0;padding:0}tr{break-inside:avoid}}
"""
