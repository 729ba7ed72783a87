// UI-1: what a person does with the vault in the console, in a real browser, against the contract.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { assertClean, picture, settle, type Visit } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import * as data from './support/fixtures.ts'
import { fullHandlers } from './support/scenarios.ts'
import { narrow, openStage, wide } from './support/stage.ts'
import { closedSeal, manySecrets, wrappingToken } from './support/vault-fixtures.ts'

const madeUp = (): string => `made-up-${randomBytes(12).toString('hex')}`

const { server, open: arrive, callsOf } = openStage()

async function open(t: TestContext, path: string, view = wide): Promise<Visit> {
  const seen = await arrive(t, path, view)
  await settle(seen.page)
  return seen
}
/** The focus follows the key a frame later, when the line is drawn. */
const untilFocused = (page: Page, name: string) =>
  page.waitForFunction((wanted) => document.activeElement?.textContent === wanted, name)

describe('UI-1: the tree of secrets', () => {
  test('is walked with the arrow keys, and a secret is chosen with Enter', async (t) => {
    const seen = await open(t, '/vault')
    const { page } = seen
    await page.getByRole('treeitem', { name: 'secret' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('treeitem', { name: 'leaky-shop' }).waitFor()
    for (const name of ['billing', 'fleet', 'leaky-shop']) {
      await page.keyboard.press('ArrowDown')
      await untilFocused(page, name)
    }
    await page.keyboard.press('ArrowRight')
    await page.getByRole('treeitem', { name: 'stripe' }).waitFor()
    await page.keyboard.press('ArrowDown')
    await untilFocused(page, 'aws')
    await page.keyboard.press('End')
    await untilFocused(page, 'team')
    await page.keyboard.press('Home')
    await untilFocused(page, 'secret')
    await page.getByRole('treeitem', { name: 'stripe' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'stripe', level: 2 }).waitFor()
    assert.match(page.url(), /secret=secret%2Fleaky-shop%2Fstripe/)
    await page.getByRole('treeitem', { name: 'stripe' }).focus()
    await page.keyboard.press('ArrowLeft')
    await untilFocused(page, 'leaky-shop')
    await page.keyboard.press('ArrowLeft')
    await page.getByRole('treeitem', { name: 'stripe' }).waitFor({ state: 'detached' })
    await assertClean(seen)
  })

  test('draws only the lines in sight of a thousand, and says how many there are', async (t) => {
    const seen = await open(t, '/vault?secret=secret%2Ffleet%2Fdevice-0003')
    const { page } = seen
    await page.getByRole('treeitem', { name: 'device-0003' }).waitFor()
    assert.ok((await page.getByRole('treeitem').count()) < 60)
    const size = await page.getByRole('treeitem', { name: 'device-0003' }).getAttribute('aria-setsize')
    assert.equal(size, String(manySecrets))
    await page.getByRole('treeitem', { name: 'device-0003' }).focus()
    await page.keyboard.press('End')
    await page.getByRole('treeitem', { name: 'team' }).waitFor()
    await picture(page, 'vault-thousand')
    await assertClean(seen)
  })

  test('a search finds in all mounts', async (t) => {
    const seen = await open(t, '/vault', narrow)
    const { page } = seen
    await page.getByLabel('Search in all mounts').fill('pager')
    await page.getByRole('button', { name: 'team/pager' }).waitFor()
    await page.getByText('One secret').waitFor()
    await picture(page, 'vault-search')
    await assertClean(seen)
    await page.getByLabel('Search in all mounts').fill('no such thing')
    await page.getByText('No path has all of these words.').waitFor()
  })
})

describe('UI-1: versions of a secret', () => {
  const path = 'secret/leaky-shop/stripe'
  const address = `/vault?secret=${encodeURIComponent(path)}`

  test('two are compared without values, and one value of one version is shown on its own', async (t) => {
    const seen = await open(t, address)
    const { page } = seen
    await page.getByRole('button', { name: 'Compare', exact: true }).click()
    await page.getByText('Added').waitFor()
    assert.deepEqual(callsOf('secrets.compare')[0]?.input, { path, from: 2, to: 3 })
    assert.equal(callsOf('secrets.reveal').length, 0)
    await page.getByRole('button', { name: 'Values of value' }).click()
    await page.getByRole('button', { name: 'Reveal… value of version 2' }).click()
    await page.getByRole('button', { name: 'Reveal for 30 s' }).click()
    await page.getByText(data.revealedValue).waitFor()
    assert.deepEqual(
      callsOf('secrets.reveal').map(({ input }) => input),
      [{ path, field: 'value', version: 2 }],
    )
    await picture(page, 'vault-compare')
    await assertClean(seen)
  })

  test('a new one is written on top of the one that was seen; other fields stay, and the value is nowhere after', async (t) => {
    const seen = await open(t, address)
    const { page } = seen
    const value = madeUp()
    server.answer({
      'secrets.write': () => {
        throw new Refusal('secret.cas_mismatch', 'check-and-set parameter did not match the current version')
      },
    })
    await page.getByRole('button', { name: 'New version…' }).click()
    await page.getByRole('dialog').getByLabel('Value').first().fill(value)
    await page.getByRole('button', { name: 'Remove webhook_secret' }).click()
    await picture(page, 'vault-editor')
    await assertClean(seen)
    await page.getByRole('button', { name: 'Write', exact: true }).click()
    await page.getByText('The version is not the one expected').waitFor()
    server.answer(fullHandlers())
    await page.getByRole('button', { name: 'Write', exact: true }).click()
    await page.getByText('The new version is written').waitFor()
    assert.deepEqual(callsOf('secrets.write').at(-1)?.input, {
      path,
      set: { value },
      remove: ['webhook_secret'],
      replace: false,
      cas: 3,
    })
    await page.getByRole('button', { name: 'Write', exact: true }).waitFor({ state: 'detached' })
    assert.ok(!(await page.content()).includes(value))
    assert.ok(!page.url().includes(value))
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, history.state]),
    )
    assert.ok(!kept.includes(value))
  })

  test('one is deleted at once; one is destroyed, and the secret removed, only after a question', async (t) => {
    const { page } = await open(t, address)
    await page.getByRole('button', { name: 'Delete version 2' }).click()
    await page.getByText('The version is deleted').waitFor()
    assert.deepEqual(callsOf('secrets.delete')[0]?.input, { path, versions: [2] })
    await page.getByRole('button', { name: 'Destroy… version 3' }).click()
    assert.equal(callsOf('secrets.destroy').length, 0)
    await page.getByRole('button', { name: 'Destroy', exact: true }).click()
    await page.getByText('The version is destroyed').waitFor()
    await page.getByRole('button', { name: 'Remove the secret…' }).click()
    const remove = page.getByRole('button', { name: 'Remove for ever' })
    assert.ok(await remove.isDisabled())
    await page.getByLabel(`Type ${path} to confirm`).fill(path)
    await remove.click()
    await page.getByText('The secret and all its versions are gone').waitFor()
    assert.deepEqual(callsOf('secrets.purge')[0]?.input, { path, confirm: path })
  })
})

describe('UI-1: mounts and policies', () => {
  test('an engine is enabled, and one is disabled only when its path is typed', async (t) => {
    const seen = await open(t, '/vault/mounts')
    const { page } = seen
    await page.getByRole('button', { name: 'Enable', exact: true }).click()
    await page.getByLabel('Kind').selectOption('auth userpass')
    await page.getByText('It will be at auth/userpass/').waitFor()
    await assertClean(seen)
    await page.getByRole('dialog').getByRole('button', { name: 'Enable' }).click()
    await page.getByText('auth/userpass is enabled').waitFor()
    assert.deepEqual(callsOf('mounts.enable')[0]?.input, {
      path: 'auth/userpass',
      type: 'userpass',
      description: '',
    })
    await page.getByRole('button', { name: 'Disable team/' }).click()
    await page.getByLabel('Type team/ to confirm').fill('team')
    assert.ok(await page.getByRole('button', { name: 'Disable and remove' }).isDisabled())
    await page.getByLabel('Type team/ to confirm').fill('team/')
    await picture(page, 'vault-disable')
    await page.getByRole('button', { name: 'Disable and remove' }).click()
    await page.getByText('team/ is disabled').waitFor()
    await page.getByRole('button', { name: 'Tune database/' }).click()
    await page.getByLabel('Usual life').fill('soon')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Write a number with s, m, h or d: 15m.').waitFor()
    await page.getByLabel('Usual life').fill('15m')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('database/ is tuned').waitFor()
    assert.equal(callsOf('mounts.tune')[0]?.input['defaultTtlSeconds'], 900)
  })

  test('a policy that is wrong is refused with its place; one is tried before it is stored', async (t) => {
    const seen = await open(t, '/vault/policies?policy=shop')
    const { page } = seen
    await page.getByLabel('Rules').fill('path "secret/data/shop/*" {\n  capabilities = ["fly"]\n}')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('line 2, column 19').waitFor()
    await assertClean(seen)
    await page.getByLabel('Path').fill('secret/shop/stripe')
    await page.getByText('This would allow it, and no more').waitFor()
    await page.getByText(/the request lacks data\//).waitFor()
    await picture(page, 'vault-policy-tried')
    await assertClean(seen)
    assert.equal(callsOf('acl.test').at(-1)?.input['name'], 'shop')
  })

  test('a refused token is explained', async (t) => {
    for (const view of [wide, narrow]) {
      const seen = await open(t, '/vault/explain', view)
      const { page } = seen
      await page.getByLabel('Token').selectOption('Zr8qVv1nB0kQ2mXs5tYw7uAc')
      await page.getByLabel('Path').fill('secret/shop/stripe')
      await page.keyboard.press('Enter')
      await page.getByText(/has a rule for secret\/shop\/stripe\. It needs read\./).waitFor()
      await picture(page, `vault-explained-${view.width}`)
      await assertClean(seen)
    }
    assert.equal(callsOf('vault.explain')[0]?.input['accessor'], 'Zr8qVv1nB0kQ2mXs5tYw7uAc')
  })
})

describe('UI-1: who comes in, and what is lent', () => {
  test('a secret id is handed out wrapped, shown once and gone after', async (t) => {
    const seen = await open(t, '/vault/approles?role=auth%2Fapprole%2Fdeploy')
    const { page } = seen
    await page.getByRole('button', { name: 'Issue…' }).click()
    await page.getByRole('button', { name: 'Issue', exact: true }).click()
    await page.getByText(wrappingToken).waitFor()
    await picture(page, 'vault-issued')
    await assertClean(seen)
    await page.getByRole('button', { name: 'I have handed it over' }).click()
    await page.getByText(wrappingToken).waitFor({ state: 'detached' })
    assert.ok(!(await page.content()).includes(wrappingToken))
  })

  test('a token and a lease are revoked after a question; what could not be removed is shown on its own', async (t) => {
    const { page } = await open(t, '/vault/tokens')
    await page.getByRole('button', { name: /^Revoke… token-ci/ }).click()
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.getByText('The token is revoked').waitFor()
    const leases = await open(t, '/vault/leases')
    await leases.page.getByText('One credential should be gone').waitFor()
    await leases.page.getByRole('button', { name: 'Show only these' }).click()
    await leases.page.getByText('Failed 5 times').waitFor()
    await leases.page.getByText('Being made').waitFor({ state: 'detached' })
    assert.equal(callsOf('credentials.list').at(-1)?.input['failing'], 'true')
    await leases.page.getByRole('button', { name: /^Try now…/ }).click()
    await leases.page.getByRole('button', { name: 'Try now', exact: true }).click()
    await leases.page.getByText('The lease is revoked').waitFor()
  })
})

describe('VAULT-1: the seal', () => {
  test('a sealed vault leads to where it is opened; a share is sent once and forgotten here', async (t) => {
    const sealed = (): never => {
      throw new Refusal('vault.sealed', 'give the shares')
    }
    server.answer({ 'secrets.list': sealed, 'seal.status': () => closedSeal })
    const seen = await open(t, '/vault', narrow)
    const { page } = seen
    await page.getByText('The vault is sealed').waitFor()
    await page.getByRole('link', { name: 'Unseal' }).click()
    await page.getByText('1 of 3 shares given').waitFor()
    await picture(page, 'vault-sealed')
    await assertClean(seen)
    const share = madeUp()
    await page.getByLabel('Key share').fill(share)
    server.answer({ 'seal.status': () => ({ ...closedSeal, progress: 2 }) })
    await page.getByRole('button', { name: 'Give the share' }).click()
    await page.getByText('2 of 3 shares given').waitFor()
    assert.deepEqual(
      callsOf('seal.unseal').map(({ input }) => input),
      [{ share }],
    )
    assert.equal(await page.getByLabel('Key share').inputValue(), '')
    assert.ok(!(await page.content()).includes(share))
  })

  test('it is sealed only after the word is typed', async (t) => {
    const { page } = await open(t, '/vault/seal')
    await page.getByRole('button', { name: 'Seal…' }).click()
    await page.getByLabel('Type seal to confirm').fill('seal')
    await page.getByRole('button', { name: 'Seal the vault' }).click()
    await page.getByText('The vault is sealed').waitFor()
    assert.deepEqual(callsOf('seal.close')[0]?.input, { confirm: 'seal' })
  })
})
