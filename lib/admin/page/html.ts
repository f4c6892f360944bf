/** The page as one self-contained document, and the policy that lets a browser run nothing but its own script. */
import { createHash } from 'node:crypto'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
  formatTime,
  threeDigits,
} from './format.ts'
import { createHistory } from './history.ts'
import { runPage } from './main.ts'
import {
  clusterRows,
  endpointRow,
  errorRow,
  filterRow,
  listenerRow,
  loadClass,
  render,
  renderBanners,
  renderHead,
  renderTables,
  renderTiles,
  routeRow,
  sampleOf,
  scopeCells,
  worstFirst,
} from './render.ts'
import { PAGE_STYLE } from './style.ts'
import { createView, drawLine } from './view.ts'

/** The page and its Content-Security-Policy. */
export interface Page {
  readonly html: string
  readonly policy: string
}

/** The functions of the page, sent as their own source: checked and tested like all other code, and no build step. */
const FUNCTIONS = [
  threeDigits,
  formatCount,
  formatRate,
  formatMs,
  formatBytes,
  formatDuration,
  formatTime,
  createHistory,
  drawLine,
  createView,
  sampleOf,
  loadClass,
  scopeCells,
  worstFirst,
  listenerRow,
  endpointRow,
  errorRow,
  clusterRows,
  routeRow,
  filterRow,
  renderHead,
  renderBanners,
  renderTiles,
  renderTables,
  render,
  runPage,
]

const SCOPE_COLUMNS = `<th class="number" title="requests per second">req/s</th><th title="the last minute"></th>
<th class="number" title="answers 400–499 per second">4xx/s</th><th class="number" title="answers 500–599 per second">5xx/s</th>
<th class="number" title="requests that meshgate itself failed, per second">failed/s</th><th class="number" title="requests that are running">active</th>
<th class="number" title="over about the last two minutes">p50</th><th class="number" title="over about the last two minutes">p99</th>`

const SCOPE_WIDTHS = `<col class="name"><col><col class="rate"><col class="line"><col class="rate"><col class="rate"><col class="rate">
<col class="count"><col class="time"><col class="time">`

const BODY = `
<header>
<h1>meshgate<small id="version"></small></h1>
<span id="node" class="strong"></span>
<span id="phase" class="badge"></span>
<dl>
<div><dt>config</dt><dd id="config"></dd></div>
<div><dt>log</dt><dd id="log-level"></dd></div>
<div><dt>up</dt><dd id="uptime"></dd></div>
<div><dt>last update</dt><dd id="updated">–</dd></div>
</dl>
<span id="connection" class="badge">connecting</span>
</header>
<main>
<div id="page" class="stale">
<div role="alert"><p id="lost" class="banner bad" hidden></p></div>
<div id="banners" role="status"></div>
<div class="tiles">
<div class="tile"><h2>requests/s</h2><div id="requests-rate" class="value">–</div><div id="requests-line"></div></div>
<div class="tile"><h2>failed by meshgate/s</h2><div id="errors-rate" class="value">–</div><div id="errors-line"></div></div>
<div class="tile"><h2>5xx/s</h2><div id="failed-rate" class="value">–</div><div id="failed-line"></div></div>
<div class="tile"><h2>slowest p99</h2><div id="p99" class="value">–</div><div id="p50" class="note"></div></div>
<div class="tile"><h2>running</h2><div id="live" class="value">–</div><div id="connections" class="note"></div></div>
<div class="tile"><h2>event loop</h2><div id="loop" class="value">–</div><div id="loop-delay" class="note"></div></div>
<div class="tile"><h2>memory</h2><div id="memory" class="value">–</div><div id="heap" class="note"></div></div>
</div>
<div class="columns">
<section id="errors-section" class="errors" hidden><div class="section-head"><h2>Recent errors</h2><span class="dim">newest first</span></div>
<div class="scroll"><table><colgroup><col class="time"><col class="code"><col class="where"><col></colgroup><tbody id="errors"></tbody></table></div></section>
<section class="scopes"><div class="section-head"><h2>Listeners</h2></div>
<table><colgroup>${SCOPE_WIDTHS}<col class="count"></colgroup>
<thead><tr><th>name</th><th>address</th>${SCOPE_COLUMNS}<th class="number">conns</th></tr></thead><tbody id="listeners"></tbody></table></section>
<section class="scopes"><div class="section-head"><h2>Clusters</h2></div>
<table><colgroup>${SCOPE_WIDTHS}<col class="count"></colgroup>
<thead><tr><th>name</th><th>balancer</th>${SCOPE_COLUMNS}<th class="number">conns</th></tr></thead><tbody id="clusters"></tbody></table></section>
<section class="scopes"><div class="section-head"><h2>Routes</h2><span id="routes-note" class="dim"></span></div>
<table><colgroup>${SCOPE_WIDTHS}<col class="count"></colgroup>
<thead><tr><th>name</th><th>to</th>${SCOPE_COLUMNS}<th></th></tr></thead><tbody id="routes"></tbody></table></section>
<section class="filters"><div class="section-head"><h2>Filters</h2><span class="dim">in the order they run</span></div>
<table><colgroup><col class="time"><col class="name"><col><col class="rate"><col class="rate"><col class="rate"></colgroup>
<thead><tr><th></th><th>name</th><th>hooks</th><th class="number" title="exchanges it answered">replies</th>
<th class="number" title="hooks that threw">failures</th><th class="number" title="hooks that had to wait">waits</th></tr></thead>
<tbody id="filters"></tbody></table></section>
</div>
</div>
</main>`

let page: Page | null = null

/** Builds the page on the first call. */
export function readPage(): Page {
  page ??= build()
  return page
}

function build(): Page {
  const script = `"use strict";{\n${FUNCTIONS.map(String).join('\n')}\nrunPage(window)\n}`
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>meshgate</title>
<link rel="icon" href="data:,">
<style>${PAGE_STYLE}</style>
</head>
<body>${BODY}
<script>${script}</script>
</body>
</html>
`
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(PAGE_STYLE)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ')
  return { html, policy }
}

/** The browser compares this with the text between the tags, to the byte. */
function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
