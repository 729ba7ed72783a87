import { after, before, beforeEach, type TestContext } from 'node:test'
import type { Browser } from 'playwright-core'
import { openBrowser, type View, type Visit, visit } from './browser.ts'
import { type ConsoleServer, startConsoleServer } from './console-server.ts'
import { fullHandlers } from './scenarios.ts'

export const wide: View = { theme: 'light', width: 1280 }
export const narrow: View = { theme: 'dark', width: 390 }

type Stage = {
  readonly server: Pick<ConsoleServer, 'answer' | 'emit' | 'origin' | 'calls'>
  open(t: TestContext, path: string, view?: View): Promise<Visit>
  callsOf(name: string): ConsoleServer['calls']
}

/** One browser and one server for all tests of a file. Each test begins with full answers, and with no call made. */
export function openStage(): Stage {
  let browser: Browser
  let running: ConsoleServer
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
    open: (t, path, view = wide) => visit(t, browser, running, path, view),
    callsOf: (name) => running.calls.filter((call) => call.name === name),
  }
}
