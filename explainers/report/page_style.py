"""How the report of a comparison looks and what it does when clicked; nothing is fetched."""

STYLE = """
:root { color-scheme: light dark; --text: #1d2026; --soft: #5c6370; --page: #fdfdfc;
  --line: #dcdfe4; --raised: #f4f5f6; --best: #0b6b3a; --warn: #9a4a00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e7ea; --soft: #a2a8b3; --page: #16181c;
  --line: #343942; --raised: #1f2228; --best: #6fd49b; --warn: #f0a860; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; color: var(--text);
  background: var(--page); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; }
p, ul, dl { max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .92rem; }
code { font: .92em ui-monospace, Menlo, Consolas, monospace; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
caption { text-align: left; padding: .5rem .75rem; }
th, td { padding: .4rem .7rem; text-align: right; vertical-align: top; white-space: nowrap; }
thead th { background: var(--raised); vertical-align: bottom; white-space: normal; }
thead th:first-child { text-align: left; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { position: sticky; left: 0; background: var(--page); text-align: left;
  font-weight: 600; }
tr.trivial > * { color: var(--soft); }
tr.trivial th { font-weight: 400; font-style: italic; }
td small { display: block; color: var(--soft); font-size: .8em; }
td.best b { color: var(--best); }
thead button, .legend button { all: unset; cursor: pointer; font: inherit; }
button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
.notes li { margin: .35rem 0; }
.warn { color: var(--warn); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr));
  gap: 1.5rem 2rem; }
figure { margin: 0; break-inside: avoid; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--text); font: 11px system-ui, sans-serif; paint-order: stroke;
  stroke: var(--page); stroke-width: 3px; stroke-linejoin: round; }
svg .title { font-size: 12px; } svg .note { fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .level { stroke: var(--soft); stroke-dasharray: 5 4; }
svg g { color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .3rem 0 1rem; padding: 0;
  list-style: none; max-width: none; font-size: .88rem; }
.legend svg { display: inline-block; width: 26px; height: 10px; margin-right: .35rem;
  color: var(--soft); }
.legend button[aria-pressed=false] { opacity: .35; text-decoration: line-through; }
.strip { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0 0 1.2rem; padding: 0 0 1.2rem;
  border-bottom: 1px solid var(--line); break-inside: avoid; }
.strip figure { width: 8.5rem; } .strip figcaption { font-size: .78rem; overflow-wrap: anywhere; }
.strip img { display: block; width: 100%; height: auto; border-radius: 3px; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow: auto; max-height: 30rem; padding: .75rem; background: var(--raised);
  border-radius: 6px; font: .8rem/1.45 ui-monospace, Menlo, Consolas, monospace; }
@media print { :root { --text: #000; --soft: #444; --page: #fff; --line: #bbb; --raised: #fff;
  --best: #064; --warn: #630; color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; border: 0; }
  table { font-size: 7pt; } th, td { padding: .2rem .3rem; } pre { max-height: none; }
  .strip figure { width: 5.5rem; } tbody th { position: static; }
  thead { display: table-header-group; } tr { break-inside: avoid; } }
"""

SCRIPT = """
for (const button of document.querySelectorAll("thead button")) {
  button.onclick = () => {
    const head = button.closest("th"), body = button.closest("table").tBodies[0];
    const column = head.cellIndex, rows = [...body.rows];
    const was = head.getAttribute("aria-sort");
    const first = head.dataset.first || "ascending";
    const order = was === null ? first : was === "ascending" ? "descending" : "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => row.cells[column].dataset.value;
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (isNaN(x) ? x.localeCompare(y) : x - y);
    });
    body.append(...rows);
  };
}
for (const button of document.querySelectorAll(".legend button")) {
  button.onclick = () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    for (const same of document.querySelectorAll(".legend button"))
      if (same.dataset.row === button.dataset.row) same.setAttribute("aria-pressed", shown);
    for (const group of document.querySelectorAll("svg g[data-row]"))
      if (group.dataset.row === button.dataset.row) group.style.display = shown ? "" : "none";
  };
}
"""
