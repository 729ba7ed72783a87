// Chromium on the console of a real server: what the browser complains of, what axe finds, and every answer it was sent.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { leaksInBytes, type Planted } from './leaky-project.ts'

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const flags = [
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
]

/** For what never comes: on a machine that is busy with other things, a page takes its time. */
const waitMilliseconds = 120_000

export type Visitor = {
  readonly page: Page
  /** Script errors, refused styles and scripts, and everything else on the browser's console. */
  readonly complaints: string[]
  /** Names of planted values in what the API answered, apart from what a person asked to see. */
  readonly leaks: string[]
}

/** A browser that is closed after the test. */
export async function openBrowser(t: TestContext): Promise<Browser> {
  const executablePath = process.env['KEYWARD_CHROMIUM'] ?? '/usr/bin/chromium'
  const args = process.getuid?.() === 0 ? [...flags, '--no-sandbox'] : flags
  const browser = await chromium.launch({ executablePath, headless: true, args, timeout: waitMilliseconds })
  t.after(() => browser.close())
  return browser
}

/** A person with a browser profile of their own. */
export async function openVisitor(browser: Browser, planted: readonly Planted[] = []): Promise<Visitor> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    locale: 'en-GB',
  })
  const page = await context.newPage()
  page.setDefaultTimeout(waitMilliseconds)
  const complaints: string[] = []
  const leaks: string[] = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // A refusal that the page shows in words, or a server that a test stopped.
    const expected = /Failed to load resource: (the server responded|net::ERR_)/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !expected) complaints.push(message.text())
  })
  page.on('response', async (response) => {
    const { pathname } = new URL(response.url())
    if (!pathname.startsWith('/api/') || ['/api/v1/events', '/api/v1/secrets/reveal'].includes(pathname))
      return
    const body = await response.body().catch(() => Buffer.alloc(0))
    leaks.push(...leaksInBytes(body, planted).map((name) => `${name} in ${pathname}`))
  })
  return { page, complaints, leaks }
}

/** Waits until the page itself is there and no part of it is loading any more. */
export async function settle(page: Page): Promise<void> {
  await page.waitForSelector('#content h1')
  await page.locator('.skeleton').first().waitFor({ state: 'detached' })
}

type Violation = { id: string; help: string; nodes: { target: unknown; failureSummary?: string }[] }

/** Every rule of WCAG 2.2 A and AA and the best practices; the page's own policy stays in force. */
async function axeViolations(page: Page): Promise<string[]> {
  await page.evaluate(axeSource)
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const options = JSON.stringify({ runOnly: { type: 'tag', values: tags } })
  const { violations } = await page.evaluate<{ violations: Violation[] }>(`window.axe.run(${options})`)
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) => `${id}: ${help} at ${JSON.stringify(target)} ${failureSummary}`,
    ),
  )
}

/**
 * What must hold on every page: the browser complains of nothing, axe finds nothing, nothing is wider than the window, and no
 * planted value stands in the document, apart from the one named. Keeps a picture when KEYWARD_SCREENSHOTS names a folder.
 */
export async function assertGood(
  { page, complaints, leaks }: Visitor,
  name: string,
  planted: readonly Planted[],
  revealed: readonly string[] = [],
): Promise<void> {
  const folder = process.env['KEYWARD_SCREENSHOTS']
  if (folder) {
    await mkdir(folder, { recursive: true })
    await page.screenshot({ path: join(folder, `real-${name}.png`) })
  }
  assert.deepEqual(await axeViolations(page), [], `axe on ${name}`)
  assert.deepEqual(complaints, [], `the browser on ${name}`)
  assert.deepEqual(leaks, [], `answers to ${name}`)
  const overflow = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
  assert.ok(Number(overflow) <= 0, `${name} is ${overflow} px wider than the window`)
  const shown = `${await page.content()}\n${page.url()}`
  assert.deepEqual(new Set(leaksInBytes(shown, planted)), new Set(revealed), `values in ${name}`)
}

/** Presses Tab until the focus is where `reached` says, as somebody without a mouse does. */
export async function tabTo(page: Page, what: string, reached: string): Promise<void> {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(`(element => ${reached})(document.activeElement)`)) return
  }
  assert.fail(`${what} cannot be reached by Tab`)
}
