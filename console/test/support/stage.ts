import { after, before, beforeEach, type TestContext } from 'node:test'
import type { Browser } from 'playwright-core'
import { openBrowser, openTab, type View, type Visit, visit } from './browser.ts'
import { type ConsoleServer, startConsoleServer } from './console-server.ts'
import { fullHandlers } from './scenarios.ts'

export const wide: View = { theme: 'light', width: 1280 }
export const narrow: View = { theme: 'dark', width: 390 }

type Stage = {
  readonly server: Pick<ConsoleServer, 'answer' | 'emit' | 'origin' | 'calls'>
  /** In a tab that tests share, one after another, and that is left as a new one: it has the scripts already. */
  open(t: TestContext, path: string, view?: View): Promise<Visit>
  /** In a browser profile of its own, for what cannot be taken back: another clock, a security key. */
  openAlone(t: TestContext, path: string, view?: View): Promise<Visit>
  callsOf(name: string): ConsoleServer['calls']
}

/** One browser and one server for all tests of a file. Each test begins with full answers, and with no call made. */
export function openStage(): Stage {
  let browser: Browser
  let running: ConsoleServer
  const tabs = new Map<View, Visit>()
  const open = async (t: TestContext, path: string, view = wide): Promise<Visit> => {
    const tab = tabs.get(view) ?? (await openTab(browser, view))
    // Back among them once it is as new: what cannot be made so is not used again.
    tabs.delete(view)
    t.after(async () => {
      await leave(tab, running.origin)
      tabs.set(view, tab)
    })
    await tab.page.goto(`${running.origin}${path}`)
    return tab
  }
  before(async () => {
    browser = await openBrowser()
    running = await startConsoleServer(fullHandlers())
  })
  after(async () => {
    await browser.close()
    await running.close()
  })
  beforeEach(() => {
    running.answer(fullHandlers())
    running.calls.length = 0
  })
  return {
    server: {
      answer: (handlers) => running.answer(handlers),
      emit: (event) => running.emit(event),
      get origin() {
        return running.origin
      },
      get calls() {
        return running.calls
      },
    },
    open,
    openAlone: (t, path, view = wide) => visit(t, browser, running, path, view),
    callsOf: (name) => running.calls.filter((call) => call.name === name),
  }
}

/** Ends what the page still does, and forgets what was kept in the browser; the scripts stay. */
async function leave({ page, context, complaints }: Visit, origin: string): Promise<void> {
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await page.goto('about:blank')
  const session = await context.newCDPSession(page)
  await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
  await session.detach()
  complaints.length = 0
}
