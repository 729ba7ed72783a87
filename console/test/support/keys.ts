import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'

/** Goes to a page by its two keys. On a busy machine the second can come too late to count; then both are pressed again. */
export async function goByKeys(page: Page, letter: string, heading: string): Promise<void> {
  const arrived = page.getByRole('heading', { name: heading, level: 1 })
  for (let attempt = 0; attempt < 20; attempt += 1) {
    await page.keyboard.press('g')
    await page.keyboard.press(letter)
    const isThere = arrived.waitFor({ timeout: 6000 }).then(
      () => true,
      () => false,
    )
    if (await isThere) return
  }
  assert.fail(`“g ${letter}” does not lead to ${heading}`)
}
