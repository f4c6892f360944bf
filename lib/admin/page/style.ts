/** The look of the page: quiet while all is well, so that what is red is seen. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #fff; --edge: #dfe3e8; --text: #1b2330; --dim: #667085; --zero: #b0b8c4;
  --accent: #2563eb; --fill: #2563eb1f; --good: #0f7b4b; --good-back: #e3f5ec;
  --warn: #94590a; --warn-back: #fdf1d8; --bad: #c02626; --bad-back: #fde7e7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0e1218; --card: #161c25; --edge: #263040; --text: #dfe5ee; --dim: #8a96a8; --zero: #4c586a;
    --accent: #6ea8fe; --fill: #6ea8fe26; --good: #56d39b; --good-back: #12352a;
    --warn: #f0b95a; --warn-back: #3a2c10; --bad: #ff8080; --bad-back: #43191c;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; background: var(--back); color: var(--text);
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
header {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: center;
  padding: 8px 18px; background: var(--card); border-bottom: 1px solid var(--edge);
}
h1 { margin: 0; font-size: 15px; letter-spacing: -.01em; }
h1 small { margin-left: 4px; color: var(--dim); font-weight: 400; }
header dl { display: flex; gap: 18px; margin: 0 0 0 auto; }
header dl div { display: flex; gap: 5px; white-space: nowrap; }
dt { color: var(--dim); }
dd { margin: 0; }
.badge { padding: 1px 8px; border-radius: 9px; font-weight: 600; font-size: 12px; white-space: nowrap; }
.badge.good { color: var(--good); background: var(--good-back); }
.badge.warn { color: var(--warn); background: var(--warn-back); }
.badge.bad { color: var(--bad); background: var(--bad-back); }
main { padding: 14px 18px 30px; }
.banner {
  margin: 0 0 10px; padding: 8px 12px; border-radius: 6px; border-left: 4px solid; font-weight: 500;
  white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 150px; overflow-y: auto;
}
.banner.warn { color: var(--warn); background: var(--warn-back); }
.banner.bad { color: var(--bad); background: var(--bad-back); }
.stale .tiles, .stale .columns, .stale #banners { opacity: .42; filter: grayscale(1); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin-bottom: 14px; }
.tile, section { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; }
.tile { position: relative; padding: 8px 12px 9px; min-height: 78px; overflow: hidden; }
.tile h2 { margin: 0; color: var(--dim); font-size: 12px; font-weight: 500; }
.value { font-size: 23px; line-height: 1.25; font-weight: 600; letter-spacing: -.02em; white-space: nowrap; }
.value.bad { color: var(--bad); }
.value.warn { color: var(--warn); }
.note { color: var(--dim); font-size: 12px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
svg { display: block; overflow: visible; }
polyline { fill: none; stroke: var(--accent); stroke-width: 1.4; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
polygon { fill: var(--fill); stroke: none; }
.bad polyline { stroke: var(--bad); }
.bad polygon { fill: var(--bad-back); }
.flat polyline { stroke: var(--edge); }
.tile svg { width: 100%; height: 26px; margin-top: 1px; }
.columns { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; align-items: start; }
section { overflow-x: auto; }
.section-head { display: flex; gap: 8px; align-items: baseline; padding: 8px 12px 4px; }
.section-head h2 { margin: 0; font-size: 13px; }
table { width: 100%; border-collapse: collapse; }
th {
  padding: 2px 8px 4px; color: var(--dim); font-size: 11px; font-weight: 500; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--edge);
}
td { padding: 3px 8px; white-space: nowrap; border-bottom: 1px solid var(--edge); }
tbody tr:last-child td { border-bottom: 0; }
tbody tr:hover td { background: var(--fill); }
th:first-child, td:first-child { padding-left: 12px; }
th:last-child, td:last-child { padding-right: 12px; }
th.number, td.number { text-align: right; }
.scopes table { table-layout: fixed; min-width: 860px; }
.scopes col.name { width: 21%; }
.scopes col.rate { width: 76px; }
.scopes col.line { width: 92px; }
.scopes col.count { width: 64px; }
.scopes col.time { width: 78px; }
td.name, td.where, td.message { overflow: hidden; text-overflow: ellipsis; }
td.name { font-weight: 500; }
td.line { padding-top: 0; padding-bottom: 0; vertical-align: middle; }
td.line svg { width: 76px; height: 18px; }
.strong { font-weight: 600; }
.dim { color: var(--dim); }
td.zero { color: var(--zero); font-weight: 400; }
td.warn { color: var(--warn); }
td.bad { color: var(--bad); font-weight: 600; }
tr.endpoint td { padding-top: 1px; padding-bottom: 2px; font-size: 12px; border-bottom-color: transparent; }
tr.endpoint td.name { padding-left: 28px; font-weight: 400; }
tr:has(+ tr.endpoint) td { border-bottom-color: transparent; }
tr.endpoint:has(+ tr:not(.endpoint)) td { border-bottom-color: var(--edge); }
td.code { font: 600 11.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; color: var(--bad); }
.errors .scroll { max-height: 208px; overflow-y: auto; }
.errors table, .filters table { table-layout: fixed; min-width: 700px; }
.errors col.time { width: 78px; }
.errors col.code { width: 260px; }
.errors col.where { width: 26%; }
.filters col.time { width: 34px; }
.filters col.name { width: calc(21% - 34px); }
.filters col.rate { width: 92px; }
`
