"""How a campaign report looks, and the little that moves in it."""

from __future__ import annotations

from typing import Final

#: The colours of ties are told apart by all common kinds of colour vision (Okabe and Ito 2008).
CSS: Final = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1b1f24; --soft: #59626d; --line: #d9dcd8; --wash: #f2f3ef;
  --bar: #4b6a88; --refused: #c9573c; --alarm: #b3261e;
  --payment: #c2510a; --addresses: #0067a6; --sign-up: #00805d; --content: #a8558a;
  --client: #7a6a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e8e9e6; --soft: #a1a9b1; --line: #343a40; --wash: #1d2125;
    --bar: #84a7c9; --refused: #e58a6f; --alarm: #ff8a7d;
    --payment: #f0925a; --addresses: #63b3ea; --sign-up: #45c79f; --content: #e29bc9;
    --client: #d8c64a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 ui-sans-serif, system-ui, "Segoe UI", "Noto Sans", Roboto, Helvetica, Arial,
    sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3rem; }
.over { margin: 0; color: var(--soft); font-size: .8rem; letter-spacing: .08em;
  text-transform: uppercase; }
.name { text-transform: none; letter-spacing: 0; }
h1 { margin: .5rem 0 1rem; max-width: 24em; font-size: 2.1rem; line-height: 1.2;
  font-weight: 650; letter-spacing: -.015em; text-wrap: balance; }
h2 { margin: 3.25rem 0 .75rem; padding-top: .9rem; border-top: 1px solid var(--line);
  font-size: 1.3rem; line-height: 1.3; }
h3 { margin: 1.75rem 0 .35rem; font-size: 1rem; }
p, li { max-width: 44rem; }
p { margin: .5rem 0 .9rem; }
.lede { font-size: 1.12rem; }
.note, figcaption { color: var(--soft); font-size: .9rem; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; }
code { font: .92em ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono",
  monospace; overflow-wrap: anywhere; }
a { color: inherit; }
dl.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
  gap: 1px; margin: 1.75rem 0 0; border: 1px solid var(--line); }
dl.figures > div { padding: .8rem 1rem; background: var(--paper);
  box-shadow: 0 0 0 1px var(--line); }
dl.figures dt { color: var(--soft); font-size: .8rem; }
dl.figures dd { margin: .1rem 0 0; font-size: 1.35rem; font-weight: 600; line-height: 1.2;
  white-space: nowrap; }
dl.figures small { display: block; margin-top: .2rem; color: var(--soft); font-size: .78rem;
  font-weight: 400; line-height: 1.35; white-space: normal; }
figure { margin: 1.25rem 0; }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 12px; font-family: inherit; }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--soft); }
svg .bar { fill: var(--bar); }
svg .refused { fill: var(--refused); }
svg .alarm { stroke: var(--alarm); stroke-width: 1.5; }
svg text.alarm { fill: var(--alarm); stroke: none; font-weight: 600; }
svg .unknown { fill: var(--wash); }
svg .mark { stroke: var(--ink); stroke-width: 2; }
svg .track { fill: var(--line); }
svg .payment { fill: var(--payment); stroke: var(--payment); }
svg .addresses { fill: var(--addresses); stroke: var(--addresses); }
svg .sign-up { fill: var(--sign-up); stroke: var(--sign-up); }
svg .content { fill: var(--content); stroke: var(--content); }
svg .client { fill: var(--client); stroke: var(--client); }
svg .lines { stroke-opacity: .42; }
svg .many { stroke-opacity: .27; }
svg line.content { stroke-dasharray: 2 4; }
svg line.client { stroke-dasharray: 6 4; }
svg .member { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }
svg .halo { fill: var(--ink); font-weight: 600; stroke: var(--paper); stroke-width: 3.5px;
  paint-order: stroke; }
.graph svg { margin: 0 auto; }
.legend { display: flex; flex-wrap: wrap; gap: .35rem 1.4rem; margin: .4rem 0; padding: 0;
  list-style: none; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: .45rem; margin: 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
.scroll:focus-visible { outline: 3px solid var(--addresses); outline-offset: 2px; }
figure .scroll { margin: 0; }
.unfold { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1.2rem; margin: .6rem 0;
  font-size: .9rem; }
.unfold input[type=search] { width: 22rem; max-width: 100%; padding: .35rem .6rem; font: inherit;
  border: 1px solid var(--soft); border-radius: 4px; background: var(--paper); color: var(--ink); }
.unfold output { color: var(--soft); }
.wide { width: min(100vw - 3rem, 92rem); margin-left: calc(50% - min(50vw - 1.5rem, 46rem)); }
.wide table { margin: 0 auto; font-size: .8rem; }
.wide th, .wide td { padding-right: .7rem; }
.wide thead th { white-space: normal; }
table { border-collapse: collapse; font-size: .87rem; line-height: 1.4; }
caption { padding-bottom: .4rem; color: var(--soft); text-align: left; }
th, td { padding: .34rem .9rem .34rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: nowrap; }
tbody th { font-weight: 500; }
.n { text-align: right; white-space: nowrap; }
.n + :not(.n) { padding-left: .5rem; }
.w { white-space: nowrap; }
.adds { min-width: 16.5em; }
.ties { min-width: 6.5em; }
.wide th small { display: block; color: var(--soft); font-weight: 400; }
.text { min-width: 18em; white-space: pre-wrap; overflow-wrap: anywhere; }
td svg { max-width: none; margin-top: .15rem; }
tr:has(:target) { background: var(--wash); outline: 2px solid var(--alarm); outline-offset: -1px; }
th button { padding: 0; border: 0; background: none; color: inherit; font: inherit;
  text-align: inherit; cursor: pointer; }
th button { text-decoration: underline dotted; text-underline-offset: .25em; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
summary { color: var(--soft); font-size: .9rem; cursor: pointer; }
@media screen {
  .long:not(:has(.unfold :checked)) table:not(.found) tr.rest:not(:has(:target)) { display: none; }
}
@media (max-width: 45rem) {
  figure .scroll > svg { width: 44rem; max-width: none; }
}
@media screen and (max-width: 45rem) {
  .cards, .cards caption, .cards tbody, .cards td:not(.opt), .cards tbody th { display: block; }
  table.cards { width: 100%; font-size: .87rem; }
  .cards thead th:not(:has(button)) { display: none; }
  .cards thead tr { display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
  .cards thead th, .cards thead .n + :not(.n) { padding: .3rem 0; border: 0; }
  .cards thead:has(button)::before { content: "Sort by"; color: var(--soft); font-size: .78rem; }
  .cards tbody tr { display: grid; gap: .35rem .8rem;
    grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr));
    padding: .6rem 0; border-bottom: 1px solid var(--line); }
  .cards tbody tr[hidden] { display: none; }
  .cards tbody tr > * { min-width: 0; border: 0; text-align: left; white-space: normal;
    overflow-wrap: anywhere; }
  .cards tbody tr > *, .cards tbody .n + :not(.n) { padding: 0; }
  .cards tbody th, .cards .adds, .cards .ties, .cards .text { grid-column: 1 / -1; }
  .cards tbody td:empty { display: none; }
  .cards [data-h]::before { content: attr(data-h); display: block; color: var(--soft);
    font-size: .78rem; font-weight: 400; }
  .cards td > svg { max-width: 100%; }
}
footer { margin-top: 3.5rem; padding-top: 1rem; padding-bottom: 3rem; color: var(--soft);
  font-size: .85rem; }
@media print {
  @page { size: A4; margin: 14mm; }
  @page wide { size: A4 landscape; margin: 10mm; }
  html { font-size: 12px; }
  details:not([open]) { display: none; }
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #bbb;
    --wash: #eee; --bar: #4b6a88; --refused: #c9573c; --alarm: #b3261e; --payment: #c2510a;
    --addresses: #0067a6; --sign-up: #00805d; --content: #a8558a;
    --client: #7a6a00; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 1rem; }
  main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, dl.figures { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  .unfold { display: none; }
  .members { page: wide; }
  .wide { width: auto; margin-left: 0; }
  .wide table { font-size: 8px; }
  th button { text-decoration: none; }
  th button::after { content: none; }
  .adds, .ties { min-width: 0; }
}
"""

#: Lets a reader sort a table by a column, and find rows of a long one. Nothing is lost without it.
JS: Final = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        const d = Number(x) - Number(y);
        return Number.isNaN(d) ? x.localeCompare(y) : d;
      };
      const rows = [...body.rows].sort(order);
      body.append(...(down ? rows.reverse() : rows));
      const first = Number(table.dataset.first ?? rows.length);
      [...body.rows].forEach((row, i) => row.classList.toggle("rest", i >= first));
    });
  });
}
for (const place of document.querySelectorAll(".unfold")) {
  const table = place.parentElement.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  const input = document.createElement("input");
  const said = document.createElement("output");
  input.type = "search";
  input.placeholder = "Find: words of a row";
  input.setAttribute("aria-label", "Find rows by words in them");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    table.classList.toggle("found", words.length > 0);
    let count = 0;
    for (const row of rows) {
      const cells = [...row.cells].map((cell) => cell.dataset.all ?? cell.textContent);
      const parts = cells.join(" ").toLowerCase().split(/[\\s,]+/);
      // T1 is not T12, but a piece of an account finds it.
      const has = (word) => parts.some(
        (part) => part === word || (word.length > 3 && part.includes(word)));
      row.hidden = !words.every(has);
      count += row.hidden ? 0 : 1;
    }
    said.textContent = words.length ? `${count} of ${rows.length}` : "";
  });
  place.append(input, said);
}
"""
