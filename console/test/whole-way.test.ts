// UI-1: the whole way of a leaked key by its owner, in a real browser against the real server.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { leaksIn, makeLeakyProject } from '../../server/test/support/leaky-project.ts'
import { scratchFolder, startServer } from '../../server/test/support/server.ts'
import { assertClean, openBrowser, picture, settle, visit } from './support/browser.ts'

test('UI-1, DISC-5, APPR-1: sign in, scan, review, approve, and see the run finish', async (t) => {
  const project = await makeLeakyProject(scratchFolder(t, 'project'))
  const server = await startServer(t)
  const browser = await openBrowser()
  t.after(() => browser.close())

  const { code, stdout } = await server.keyward(['login', '--link', '--data', server.dataDir])
  assert.equal(code, 0)
  const link = new URL(stdout.trim())
  const seen = await visit(t, browser, { origin: link.origin }, `/${link.hash}`, {
    theme: 'light',
    width: 1280,
  })
  const { page } = seen
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  assert.equal(new URL(page.url()).hash, '', 'the code leaves the address at once')

  await page.getByRole('link', { name: 'Findings', exact: true }).click()
  await page.getByRole('button', { name: /^Scan/ }).first().click()
  await page.getByRole('textbox', { name: 'Folder' }).fill(project.folder)
  await page.getByRole('button', { name: 'Start the scan' }).click()
  const boxes = page.getByRole('checkbox', { name: /^Choose .* for import$/ })
  await boxes.first().waitFor()
  await settle(page)
  for (const box of await boxes.all()) await box.check()

  await page.getByRole('link', { name: /^Review import of \d+ chosen$/ }).click()
  await page.getByRole('heading', { name: 'Review the import', level: 1 }).waitFor()
  await settle(page)
  const reviewed = await page.content()
  assert.deepEqual(
    project.planted.filter(({ value }) => reviewed.includes(value)),
    [],
    'a review shows no value',
  )
  await page.getByRole('button', { name: 'Start the import' }).click()

  await page.getByText('Waits for approval').first().waitFor()
  await picture(page, 'whole-way-waiting')
  await page.getByRole('link', { name: 'Approvals' }).first().click()
  await page.locator('main a[href^="/approvals/"]').first().click()
  await page.getByLabel('Reason').fill('Reviewed in the browser')
  await page.getByRole('button', { name: 'Approve', exact: true }).click()
  await page.getByText('Approved: the run goes on').waitFor()

  await page.getByRole('link', { name: 'Runs', exact: true }).click()
  await page.locator('main a[href^="/runs/"]').first().click()
  await page.getByRole('button', { name: 'Put the files back…' }).waitFor()
  await settle(page)
  await picture(page, 'whole-way-finished')
  await assertClean(seen)

  assert.match(readFileSync(join(project.folder, 'settings.json'), 'utf8'), /"keyward:\/\/secret\//)
  const left = leaksIn(project.folder, project.planted).filter((place) => !place.startsWith('.git/'))
  assert.deepEqual(left, [], 'no file holds a value any more')
})
