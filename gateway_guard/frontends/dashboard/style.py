"""How the dashboard looks: the style of campaign reports, and what only a dashboard has."""

from __future__ import annotations

from typing import Final

from gateway_guard.pages.style import CSS as SHARED

#: Colours of actions are told apart by all common kinds of colour vision; a word is always beside.
_OWN: Final = """
:root {
  --card: #ffffff; --accent: #1d5fa8; --good: #1b6e3c; --warn: #8a5a00; --bad: #b3261e;
  --allow: #9fb2c4; --restrict: #0f7b8a; --challenge: #7a4bb0; --throttle: #b26a00;
  --deny: #b3261e; --restrict-text: #0b6773;
  --q0: #e9ebe6; --q1: #cfdeec; --q2: #a5c4e0; --q3: #7faad2; --q4: #2f659c; --q5: #17477a;
  --on0: #5f656d; --on1: #1b1f24; --on2: #1b1f24; --on3: #10151b; --on4: #ffffff; --on5: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --card: #191d21; --accent: #8ab8f0; --good: #6fcf97; --warn: #f0b44c; --bad: #ff8a7d;
    --allow: #5d7288; --restrict: #4fb7c6; --challenge: #b893e6; --throttle: #e7a23c;
    --deny: #f07167; --restrict-text: #4fb7c6;
    --q0: #23282d; --q1: #24394e; --q2: #2d5276; --q3: #3a6d9c; --q4: #74a8d8; --q5: #b9dafa;
    --on0: #8b939b; --on1: #e8e9e6; --on2: #ffffff; --on3: #ffffff; --on4: #10151b; --on5: #10151b;
  }
}
html { font-size: 93.75%; }
body { min-width: 0; }
.bar-top { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.5rem;
  max-width: none; padding: .6rem 1.5rem; border-bottom: 1px solid var(--line);
  background: var(--card); }
.bar-top strong { letter-spacing: -.01em; }
.bar-top nav { display: flex; flex-wrap: wrap; gap: .1rem .3rem; }
.bar-top nav a { padding: .3rem .65rem; border-radius: 6px; text-decoration: none; }
.bar-top nav a:hover { background: var(--wash); }
.bar-top nav a[aria-current] { background: var(--wash); font-weight: 600; }
.bar-top .who { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem .8rem;
  margin-left: auto; color: var(--soft); font-size: .87rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .4rem .8rem; background: var(--card); z-index: 1; }
main { max-width: 84rem; padding-bottom: 3rem; }
main > h1 { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem .8rem;
  margin: 1.5rem 0 .35rem; max-width: none; font-size: 1.5rem; overflow-wrap: anywhere; }
main > h1 .pill { font-size: .85rem; }
main > h1 code { font-size: 1.15rem; font-weight: 600; }
main h2 { margin: 0 0 .6rem; padding: 0; border: 0; font-size: 1.02rem; }
main section { margin: 1.1rem 0 0; min-width: 0; }
.card { padding: 1rem 1.15rem; border: 1px solid var(--line); border-radius: 9px;
  background: var(--card); min-width: 0; }
.grid { display: grid; gap: 1.1rem; margin-top: 1.1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.grid > section, .grid > div > section:first-child { margin: 0; }
.grid > div { min-width: 0; }
.lead { color: var(--soft); margin: .1rem 0 0; max-width: 60rem; }
a { color: var(--accent); text-underline-offset: .28em; }
nav a, .pill, dl.figures a { color: inherit; }
a:focus-visible, button:focus-visible, input:focus-visible, textarea:focus-visible,
summary:focus-visible, .scroll:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.notice { margin: 1rem 0 0; padding: .65rem 1rem; border: 1px solid var(--line);
  border-left: 4px solid var(--accent); border-radius: 6px; background: var(--card);
  max-width: none; overflow-wrap: anywhere; }
.card > .notice { margin: 0 0 .8rem; }
.notice.good { border-left-color: var(--good); }
.notice.warn { border-left-color: var(--warn); }
.notice.bad { border-left-color: var(--bad); }
.notice p, .notice ul { margin: .15rem 0; max-width: none; }
.pill { display: inline-block; padding: .02rem .5rem; border: 1px solid currentColor;
  border-radius: 99px; font-size: .82em; font-weight: 600; white-space: nowrap; }
.pill.good, .pill.allow { color: var(--good); }
.pill.warn, .pill.throttle { color: var(--warn); }
.pill.bad, .pill.deny, .pill.ban, .pill.failed { color: var(--bad); }
.pill.restrict { color: var(--restrict-text); }
.pill.challenge { color: var(--challenge); }
.pill.quiet { color: var(--soft); font-weight: 400; }
dl.figures { border-radius: 9px; overflow: hidden; margin-top: 1.1rem;
  grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); }
dl.figures > div { background: var(--card); }
dl.figures dd { font-size: 1.5rem; }
dl.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.1rem;
  margin: .2rem 0 0; font-size: .93rem; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.switch { display: inline-flex; flex-wrap: wrap; border: 1px solid var(--line);
  border-radius: 7px; overflow: hidden; font-size: .87rem; font-weight: 400; letter-spacing: 0; }
.switch a { padding: .2rem .75rem; color: inherit; text-decoration: none; }
.switch a[aria-current] { background: var(--ink); color: var(--paper); }
.card table { width: 100%; }
.card .scroll { margin: .3rem 0 0; }
.card thead th { white-space: normal; }
.card tbody tr:last-child > * { border-bottom: 0; }
.card th, .card td { padding-right: .65rem; }
.card tr > :last-child { padding-right: 0; }
td.long { overflow-wrap: anywhere; min-width: 9rem; }
.empty { margin: 0; color: var(--soft); }
svg .a-allow { fill: var(--allow); } svg .a-restrict { fill: var(--restrict); }
svg .a-challenge { fill: var(--challenge); } svg .a-throttle { fill: var(--throttle); }
svg .a-deny { fill: var(--deny); }
svg .risk1 { fill: var(--q3); } svg .risk2 { fill: var(--throttle); }
svg .risk3 { fill: var(--deny); }
svg .q0 { fill: var(--q0); } svg .q1 { fill: var(--q1); } svg .q2 { fill: var(--q2); }
svg .q3 { fill: var(--q3); } svg .q4 { fill: var(--q4); } svg .q5 { fill: var(--q5); }
svg.world { width: 100%; }
svg.world text { font-size: 10.5px; }
svg.world .t0 { fill: var(--on0); } svg.world .t1 { fill: var(--on1); }
svg.world .t2 { fill: var(--on2); } svg.world .t3 { fill: var(--on3); }
svg.world .t4 { fill: var(--on4); } svg.world .t5 { fill: var(--on5); }
.unfold input { width: auto; }
.jumps .off { color: var(--soft); }
.adds { min-width: 16.5em; }
.ties { min-width: 8em; }
.card .wide th, .card .wide td { padding-right: .45rem; }
.plot { width: 100%; direction: ltr; }
.late { direction: rtl; }
.jumps { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: .9rem 0 0; max-width: none; }
dd svg { display: inline-block; margin-right: .6rem; vertical-align: middle; }
@media (min-width: 70rem) { .map { grid-template-columns: 3fr 2fr; } }
figure:first-child { margin-top: .4rem; }
.tree { margin: .5rem 0 .2rem; padding: .7rem .9rem; border-radius: 6px; background: var(--wash);
  overflow-x: auto; font: .82rem/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas,
  "DejaVu Sans Mono", monospace; white-space: pre; }
details.told { border-bottom: 1px solid var(--line); padding: .35rem 0; }
details.told:last-child { border-bottom: 0; }
details.told > summary { display: flex; flex-wrap: wrap; gap: .15rem .8rem; align-items: baseline;
  color: var(--ink); }
details.told > summary::before { content: "\\25B8"; color: var(--soft); }
details.told[open] > summary::before { content: "\\25BE"; }
details.told time { color: var(--soft); }
form.act { display: grid; gap: .6rem; max-width: 44rem; }
form.act label, form.login label { display: grid; gap: .2rem; font-size: .87rem;
  color: var(--soft); }
input, textarea { width: 100%; padding: .45rem .6rem; border: 1px solid var(--soft);
  border-radius: 6px; background: var(--paper); color: var(--ink); font: inherit; }
input[readonly] { border-style: dashed; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
button { padding: .45rem 1rem; border: 1px solid var(--soft); border-radius: 6px;
  background: var(--card); color: var(--ink); font: inherit; font-weight: 600; cursor: pointer; }
button:hover { background: var(--wash); }
button.danger { border-color: var(--bad); color: var(--bad); }
button.main { border-color: var(--accent); background: var(--accent); color: var(--card); }
button.plain { padding: 0; border: 0; background: none; color: var(--accent); font-weight: 400;
  text-decoration: underline; }
form.find { display: flex; gap: .5rem; max-width: 36rem; margin: .6rem 0 0; }
form.find input { flex: 1; min-width: 0; }
form.login { display: grid; gap: .8rem; max-width: 24rem; margin: 1.2rem 0 0; }
.wide { width: auto; margin-left: 0; }
.wide table { font-size: .84rem; }
.graph svg { max-height: 40rem; }
footer { max-width: 84rem; margin-top: 0; }
@media (max-width: 45rem) {
  main, footer { padding-left: .8rem; padding-right: .8rem; }
  .bar-top { padding: .5rem .8rem; }
  .bar-top .who { margin-left: 0; }
  .bar-top nav a { padding: .3rem .4rem; }
  dl.figures dd { white-space: normal; }
  .card { padding: .8rem .85rem; }
  .opt { display: none; }
  .plot { width: auto; max-width: none; height: 11rem; }
  td.long { min-width: 6rem; }
  dl.figures dd { font-size: 1.25rem; }
  dl.facts { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.facts dd { margin-bottom: .45rem; }
}
"""

#: The style sheet, served from this port alone.
CSS: Final = SHARED + _OWN
