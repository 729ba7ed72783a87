import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import type { ConsoleServer } from './console-server.ts'

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** For what never comes: on a machine that is busy with other things, a page takes its time. */
const waitMilliseconds = 120_000

export function openBrowser(): Promise<Browser> {
  const executablePath = process.env['KEYWARD_CHROMIUM'] ?? '/usr/bin/chromium'
  const asRoot = process.getuid?.() === 0
  return chromium.launch({
    executablePath,
    headless: true,
    timeout: waitMilliseconds,
    args: asRoot ? [...flags, '--no-sandbox'] : flags,
  })
}

export type View = { theme: 'light' | 'dark'; width: 390 | 1280 }
export const sizeOf = (width: View['width']) => ({ width, height: width === 390 ? 844 : 900 })
export type Visit = { page: Page; context: BrowserContext; complaints: string[] }

/** A tab of its own that notes everything the browser complains about: script errors, refused styles, failed loads. */
export async function openTab(browser: Browser, view: View): Promise<Visit> {
  const context = await browser.newContext({
    viewport: sizeOf(view.width),
    colorScheme: view.theme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  const page = await context.newPage()
  page.setDefaultTimeout(waitMilliseconds)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('console', (message) => {
    const expected = /Failed to load resource: the server responded/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !expected) complaints.push(message.text())
  })
  return { page, context, complaints }
}

/** Opens a page in a tab of its own, which is closed after the test. */
export async function visit(
  t: TestContext,
  browser: Browser,
  server: Pick<ConsoleServer, 'origin'>,
  path: string,
  view: View,
): Promise<Visit> {
  const tab = await openTab(browser, view)
  t.after(() => tab.context.close())
  await tab.page.goto(`${server.origin}${path}`)
  return tab
}

/** Waits until the page itself is there and no part of it is loading any more. */
export async function settle(page: Page): Promise<void> {
  await page.waitForSelector('#content h1')
  await page.waitForFunction(() => document.querySelector('.skeleton') === null)
  await page.evaluate(() => document.fonts.ready.then(() => undefined))
}

type Violation = { id: string; help: string; nodes: { target: unknown; failureSummary?: string }[] }

/** What axe looks at. Between the themes of one page nothing but the colours differs. */
export type Rules = 'all' | 'colours'

/** Runs axe with every rule of WCAG 2.2 A and AA and its best practices, or with those of colours. The page's own policy stays in force. */
export async function axeViolations(page: Page, rules: Rules = 'all'): Promise<string[]> {
  if (!(await page.evaluate(() => Reflect.has(window, 'axe')))) await page.evaluate(axeSource)
  const violations = await page.evaluate(async (chosen) => {
    const axe: unknown = Reflect.get(window, 'axe')
    const run = (axe as { run: (options: unknown) => Promise<{ violations: Violation[] }> }).run
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
    const runOnly =
      chosen === 'all'
        ? { type: 'tag', values: tags }
        : { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }
    return (await run({ runOnly, resultTypes: ['violations'] })).violations
  }, rules)
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) => `${id}: ${help} at ${JSON.stringify(target)} ${failureSummary ?? ''}`,
    ),
  )
}

export async function assertClean({ page, complaints }: Visit, rules: Rules = 'all'): Promise<void> {
  assert.deepEqual(await axeViolations(page, rules), [])
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than the window`)
  assert.deepEqual(complaints, [])
}

/** Keeps a picture when KEYWARD_SCREENSHOTS names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['KEYWARD_SCREENSHOTS']
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
