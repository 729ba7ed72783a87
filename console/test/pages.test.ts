// UI-1: every page, light and dark, narrow and wide, full, empty and failing: axe finds nothing and the browser complains of
// nothing under the server's content security policy.
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { assertClean, openBrowser, picture, settle, type View, visit } from './support/browser.ts'
import { type ConsoleServer, type Handlers, startConsoleServer } from './support/console-server.ts'
import { emptyHandlers, failingHandlers, fullHandlers } from './support/scenarios.ts'

const pages: Record<string, string> = {
  overview: '/',
  findings: '/findings',
  finding: '/findings?state=all&finding=fnd_0',
  import: '/findings/import?pick=%5B%22fnd_0%22%5D',
  vault: '/vault?secret=secret%2Fleaky-shop%2Fstripe',
  runs: '/runs',
  run: '/runs/run_7f3a?task=approve',
  'run-mixed': '/runs/run_mixed',
  'run-steps': '/runs/run_mixed?view=steps',
  approvals: '/approvals',
  approval: '/approvals/apr_1',
  'approval-hashed': '/approvals/apr_2?view=hashed',
  agents: '/agents?agent=agt_1',
  audit: '/audit?entry=459',
  policies: '/policies',
  'not-found': '/nowhere',
}
const views: View[] = [
  { theme: 'light', width: 1280 },
  { theme: 'dark', width: 1280 },
  { theme: 'light', width: 390 },
  { theme: 'dark', width: 390 },
]
const scenarios: [name: string, handlers: () => Handlers, views: View[]][] = [
  ['full', fullHandlers, views],
  ['empty', emptyHandlers, views.slice(0, 1)],
  ['failing', failingHandlers, views.slice(1, 2)],
]

for (const [scenario, handlers, shownIn] of scenarios) {
  describe(`UI-1: pages, ${scenario}`, () => {
    let browser: Browser
    let server: ConsoleServer
    before(async () => {
      server = await startConsoleServer(handlers())
      browser = await openBrowser()
    })
    after(async () => {
      await browser.close()
      await server.close()
    })
    for (const [name, path] of Object.entries(pages)) {
      for (const view of shownIn) {
        test(`${name}, ${view.theme}, ${view.width} px`, async (t) => {
          const seen = await visit(t, browser, server, path, view)
          await settle(seen.page)
          await picture(seen.page, `${scenario}-${name}-${view.theme}-${view.width}`)
          await assertClean(seen)
        })
      }
    }
  })
}
