/** Keeps the page fresh. Runs in the browser; see `format.ts`. */
import type { Overview } from '../overview.ts'
import type { PageWindow } from './dom.ts'
import { formatDuration, formatRate } from './format.ts'
import { createHistory } from './history.ts'
import { render } from './render.ts'
import { createView } from './view.ts'

/** Reads the gateway every second, or as often as `?refresh=SECONDS` says, and shows when that does not work. */
export function runPage(window: PageWindow): void {
  const { document } = window
  const view = createView(document)
  const history = createHistory(60)
  const asked = Number(new URLSearchParams(window.location.search).get('refresh'))
  const refreshMs = asked >= 0.1 && asked <= 60 ? asked * 1000 : 1000
  let timer = 0
  let lastMs = 0
  let isReading = false

  function show(overview: Overview): void {
    render(overview, history, view)
    lastMs = Date.now()
    const { stats, config } = overview
    const mark = stats.phase !== 'ready' || config.refused !== null ? '(!) ' : ''
    document.title = `${mark}${formatRate(history.rate('all', 'requests'))}/s · ${stats.node.app} · meshgate`
    view.text('updated', new Date().toLocaleTimeString('en-GB'))
    view.text('connection', 'live', 'badge good')
    view.show('lost', false)
    view.style('page', 'live')
  }

  function showLost(reason: string): void {
    const since = lastMs === 0 ? 'since this page was opened' : `for ${formatDuration(Date.now() - lastMs)}`
    view.text('lost', `Connection lost ${since}: ${reason} What is shown below is old.`)
    view.show('lost', true)
    view.text('connection', 'connection lost', 'badge bad')
    view.style('page', 'stale')
    view.style('phase', 'badge')
    document.title = '(!) connection lost · meshgate'
  }

  async function fetchOverview(): Promise<Overview> {
    const options = { cache: 'no-store', signal: AbortSignal.timeout(3000) }
    const response = await window.fetch('overview', options).catch((error: Error) => {
      const isLate = error.name === 'TimeoutError'
      throw new Error(isLate ? 'no answer within 3 s.' : 'the admin port does not answer.')
    })
    if (!response.ok) throw new Error(`the admin port answered ${response.status}.`)
    return (await response.json()) as Overview
  }

  async function read(): Promise<void> {
    isReading = true
    try {
      show(await fetchOverview())
    } catch (error) {
      showLost((error as Error).message)
    }
    isReading = false
    window.clearTimeout(timer)
    if (!document.hidden) timer = window.setTimeout(read, refreshMs)
  }

  // A page that nobody sees asks for nothing.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && !isReading) read()
  })
  read()
}
