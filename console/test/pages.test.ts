// UI-1: every page, light and dark, narrow and wide, full, empty and failing: axe finds nothing and the browser complains of
// nothing under the server's content security policy.
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import {
  assertClean,
  openBrowser,
  openTab,
  picture,
  settle,
  sizeOf,
  type View,
  type Visit,
} from './support/browser.ts'
import { type ConsoleServer, type Handlers, startConsoleServer } from './support/console-server.ts'
import { emptyHandlers, failingHandlers, fullHandlers } from './support/scenarios.ts'

const pages: Record<string, string> = {
  overview: '/',
  findings: '/findings',
  finding: '/findings?state=all&finding=fnd_0',
  'findings-filtered': '/findings?state=all&confidence=high&path=.env&pick=%5B%22fnd_0%22%5D',
  'findings-trend': '/findings/trend?days=90',
  'findings-folder': '/findings/trend?folder=services',
  'findings-schedules': '/findings/schedules',
  import: '/findings/import?pick=%5B%22fnd_0%22%5D',
  vault: '/vault?secret=secret%2Fleaky-shop%2Fstripe',
  'vault-mounts': '/vault/mounts',
  'vault-policies': '/vault/policies?policy=shop',
  'vault-explain': '/vault/explain',
  'vault-leases': '/vault/leases',
  'vault-tokens': '/vault/tokens',
  'vault-approles': '/vault/approles?role=auth%2Fapprole%2Fdeploy',
  'vault-seal': '/vault/seal',
  'vault-backups': '/vault/backups',
  runs: '/runs',
  run: '/runs/run_7f3a?task=approve',
  'run-mixed': '/runs/run_mixed',
  'run-steps': '/runs/run_mixed?view=steps',
  'run-time': '/runs/run_deploy?view=time',
  goals: '/runs/goals',
  goal: '/runs/goals/gol_1',
  'goal-unclear': '/runs/goals/gol_2',
  'runs-schedules': '/runs/schedules',
  approvals: '/approvals',
  approval: '/approvals/apr_1',
  'approval-hashed': '/approvals/apr_2?view=hashed',
  rights: '/approvals/rights',
  agents: '/agents?agent=agt_1',
  'agents-reach': '/agents/reach?agent=agt_1',
  'agents-egress': '/agents/egress?entry=899',
  'agents-sandboxes': '/agents/sandboxes',
  'run-output': '/runs/run_mixed?task=store',
  audit: '/audit?entry=459',
  policies: '/policies',
  channels: '/integrations/channels',
  people: '/people?person=per_02',
  factors: '/people/factors',
  integrations: '/integrations',
  'not-found': '/nowhere',
}
const themes: View['theme'][] = ['light', 'dark']
/** A page is opened in the first width; the window is made as narrow as the second while it is open. */
const scenarios: [name: string, handlers: () => Handlers, widths: View['width'][]][] = [
  ['full', fullHandlers, [1280, 390]],
  ['empty', emptyHandlers, [1280]],
  ['failing', failingHandlers, [390]],
]

for (const [scenario, handlers, widths] of scenarios) {
  describe(`UI-1: pages, ${scenario}`, () => {
    let browser: Browser
    let server: ConsoleServer
    // One tab for all of them, which has the scripts already, as it is for a person.
    let tab: Visit
    before(async () => {
      server = await startConsoleServer(handlers())
      browser = await openBrowser()
      tab = await openTab(browser, { theme: 'light', width: 1280 })
    })
    after(async () => {
      await browser.close()
      await server.close()
    })
    for (const [name, path] of Object.entries(pages)) {
      test(`${name}, ${widths.map((width) => `${width} px`).join(' and ')} wide, light and dark`, async () => {
        tab.complaints.length = 0
        await tab.page.setViewportSize(sizeOf(widths[0] ?? 1280))
        await tab.page.goto(`${server.origin}${path}`)
        await settle(tab.page)
        for (const width of widths) {
          await tab.page.setViewportSize(sizeOf(width))
          await settle(tab.page)
          for (const theme of themes) {
            await tab.page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
            await picture(tab.page, `${scenario}-${name}-${theme}-${width}`)
            await assertClean(tab, theme === 'light' ? 'all' : 'colours')
          }
        }
      })
    }
  })
}
