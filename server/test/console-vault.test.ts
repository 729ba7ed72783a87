// UI-1: the vault as a person works with it in the console, in a real browser on the real server.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { api } from '@keyward/contract'
import type { Page } from 'playwright-core'
import { assertGood, openBrowser, openVisitor, settle, tabTo, type Visitor } from './support/browser.ts'
import { createDraws } from './support/draws.ts'
import type { Planted } from './support/leaky-project.ts'
import { type RunningServer, startServer } from './support/server.ts'

const draws = createDraws('console vault')
const printedLink = (server: RunningServer): string =>
  /console +(\S+#code=\S+)/.exec(server.output())?.[1] ?? ''

async function signIn(t: TestContext, server: RunningServer, planted: readonly Planted[]): Promise<Visitor> {
  const visitor = await openVisitor(await openBrowser(t), planted)
  await visitor.page.goto(printedLink(server))
  await visitor.page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  return visitor
}

async function go({ page }: Visitor, server: RunningServer, path: string): Promise<void> {
  await page.goto(`${server.address}${path}`)
  await settle(page)
}

const dialog = (page: Page) => page.getByRole('dialog')

test('UI-1: a secret from the first version to the last, a policy, a program that comes in, and why it is refused', async (t) => {
  const server = await startServer(t)
  const planted = ['first', 'second', 'other'].map((name) => ({
    name,
    file: name,
    value: `made-up-${draws.text(20)}`,
  }))
  const [first, second, other] = planted.map(({ value }) => value)
  const visitor = await signIn(t, server, planted)
  const { page } = visitor
  let failed = false
  const step = (name: string, work: () => Promise<void>): Promise<void> =>
    t.test(name, { skip: failed }, async () => {
      failed = true
      await work()
      failed = false
    })

  await step('VAULT-2: a secret is written; its value stands nowhere afterwards', async () => {
    await go(visitor, server, '/vault')
    await page.getByText('The vault is empty').or(page.getByRole('tree')).first().waitFor()
    await page.getByRole('button', { name: 'Write a secret' }).click()
    await page.getByLabel('Path').fill('secret/shop/stripe')
    await dialog(page).getByLabel('Field', { exact: true }).fill('key')
    await dialog(page)
      .getByLabel('Value', { exact: true })
      .fill(first ?? '')
    await page.getByRole('button', { name: 'Add a field' }).click()
    await dialog(page).getByLabel('Field', { exact: true }).last().fill('region')
    await dialog(page)
      .getByLabel('Value', { exact: true })
      .last()
      .fill(other ?? '')
    await page.getByRole('button', { name: 'Write', exact: true }).click()
    await page.getByRole('heading', { name: 'stripe', level: 2 }).waitFor()
    await settle(page)
    await assertGood(visitor, 'vault-written', planted)
  })

  await step(
    'VAULT-2: a second version changes one field; the two are compared, one old value is looked at',
    async () => {
      await page.getByRole('button', { name: 'New version…' }).click()
      await dialog(page)
        .getByLabel('Value', { exact: true })
        .first()
        .fill(second ?? '')
      await page.getByRole('button', { name: 'Write', exact: true }).click()
      await page.getByText('The new version is written').waitFor()
      await page.getByText('v2', { exact: true }).first().waitFor()
      await page.getByRole('button', { name: 'Compare', exact: true }).click()
      await page.getByText('Changed', { exact: true }).waitFor()
      await page.getByText('Same', { exact: true }).waitFor()
      await page.getByRole('button', { name: 'Values of key' }).click()
      await page.getByRole('button', { name: 'Reveal… key of version 1' }).click()
      await page.getByRole('button', { name: 'Reveal for 30 s' }).click()
      await page.getByText(first ?? '', { exact: true }).waitFor()
      await assertGood(visitor, 'vault-compared', planted, ['first'])
      await page.getByRole('button', { name: 'Hide' }).click()
      const { items } = await server.call(api.audit.list, { type: 'secret.revealed', limit: 5 })
      assert.deepEqual(
        [items[0]?.target, items[0]?.detail],
        ['secret:secret/shop/stripe', { field: 'key', purpose: 'shown to a person', version: 1 }],
      )
    },
  )

  await step('VAULT-2: AppRole is enabled, a role is made, a secret id is handed out wrapped', async () => {
    await go(visitor, server, '/vault/approles')
    await page.getByRole('link', { name: 'To the mounts' }).click()
    await page.getByRole('button', { name: 'Enable', exact: true }).click()
    await page.getByLabel('Kind').selectOption('auth approle')
    await dialog(page).getByRole('button', { name: 'Enable' }).click()
    await page.getByText('auth/approle/', { exact: true }).waitFor()
    await assertGood(visitor, 'vault-mounts', planted)
    await go(visitor, server, '/vault/approles')
    await page.getByRole('button', { name: 'New role' }).click()
    await page.getByLabel('Name').fill('shop')
    await page.getByLabel('Policies').fill('shop')
    await page.getByRole('button', { name: 'Make the role' }).click()
    await page.getByRole('button', { name: 'Issue…' }).click()
    await page.getByRole('button', { name: 'Issue', exact: true }).click()
    const wrapping = (await page.locator('[data-revealed]').textContent()) ?? ''
    const unwrapped = await server.ask('POST', '/v1/sys/wrapping/unwrap', { token: wrapping })
    const { secret_id } = (unwrapped.body as { data: { secret_id: string } }).data
    await page.getByRole('button', { name: 'I have handed it over' }).click()
    assert.ok(!(await page.content()).includes(wrapping))
    const { role } = await server.call(api.appRoles.read, { mount: 'auth/approle/', roleName: 'shop' })
    const login = await server.ask('POST', '/v1/auth/approle/login', {
      token: null,
      body: { role_id: role.roleId, secret_id },
    })
    assert.equal(login.status, 200)
    await assertGood(visitor, 'vault-approles', planted)
    const { auth } = login.body as { auth: { client_token: string } }
    const read = await server.ask('GET', '/v1/secret/data/shop/stripe', { token: auth.client_token })
    assert.equal(read.status, 403)
    assert.match(JSON.stringify(read.body), /permission denied/)
    assert.doesNotMatch(JSON.stringify(read.body), /shop|polic/)
  })

  await step(
    'VAULT-2: why it is refused, by keyboard; the stanza is tried and stored, and the program reads',
    async () => {
      await go(visitor, server, '/vault/tokens')
      await page.getByText('approle', { exact: true }).waitFor()
      await assertGood(visitor, 'vault-tokens', planted)
      await go(visitor, server, '/vault/explain')
      const { items } = await server.call(api.tokens.list, {})
      const accessor = items.find(({ path }) => path === 'auth/approle/login')?.accessor ?? ''
      await page.getByLabel('Token').selectOption(accessor)
      await page.getByLabel('Path').fill('secret/shop/stripe')
      await tabTo(page, 'the button', `element.textContent === 'Explain'`)
      await page.keyboard.press('Enter')
      await page.getByText(/the request lacks data\//).waitFor()
      await page.getByText('The policy "shop" does not exist').waitFor()
      await assertGood(visitor, 'vault-explained', planted)
      const stanza = (await page.getByRole('region', { name: 'Stanza' }).textContent()) ?? ''
      await go(visitor, server, '/vault/policies?policy=%2B')
      await page.getByLabel('Name').fill('shop')
      await page.getByLabel('Rules').fill(`${stanza}\npath "x" { capabilities = ["fly"] }`)
      await page.getByRole('button', { name: 'Write the policy' }).click()
      await page.getByText(/line 4, column \d+: .*fly/).waitFor()
      await page.getByLabel('Rules').fill(stanza)
      await page.getByLabel('Path').fill('secret/data/shop/stripe')
      await page.getByText('Allowed', { exact: true }).waitFor()
      await page.getByRole('button', { name: 'Write the policy' }).click()
      await page.getByText('shop is in force').waitFor()
      await settle(page)
      await assertGood(visitor, 'vault-policies', planted)
      const shown = await server.call(api.vault.explain, {
        method: 'GET',
        path: 'secret/data/shop/stripe',
        accessor,
      })
      assert.deepEqual([shown.allowed, shown.deciding[0]?.policy], [true, 'shop'])
    },
  )

  await step('VAULT-1: the other rooms open, and the vault is sealed after a question', async () => {
    for (const room of ['leases', 'backups', 'seal']) {
      await go(visitor, server, `/vault/${room}`)
      await assertGood(visitor, `vault-${room}`, planted)
    }
    await page.getByRole('button', { name: 'Rotate…' }).click()
    await page.getByRole('button', { name: 'Rotate', exact: true }).click()
    await page.getByText('A new key is in use').waitFor()
    await page.getByRole('button', { name: 'Seal…' }).click()
    await page.getByLabel('Type seal to confirm').fill('seal')
    await page.getByRole('button', { name: 'Seal the vault' }).click()
    await page.getByText('Sealed', { exact: true }).waitFor()
    await go(visitor, server, '/vault')
    await page.getByText('The vault is sealed').waitFor()
    await assertGood(visitor, 'vault-shut', planted)
  })
})

test('VAULT-1: a vault of shares is opened in the browser, share by share', async (t) => {
  const server = await startServer(t, { args: ['--seal', 'shamir'] })
  const body = { secret_shares: 3, secret_threshold: 2 }
  const made = await server.ask('PUT', '/v1/sys/init', { token: null, body })
  const { keys } = made.body as { keys: string[] }
  const planted = keys.map((value, i) => ({ name: `share ${i}`, file: '', value }))
  const visitor = await signIn(t, server, planted)
  const { page } = visitor
  await go(visitor, server, '/vault/seal')
  await page.getByText('0 of 2 shares given').waitFor()
  await page.getByLabel('Key share').fill('not a share')
  await page.getByRole('button', { name: 'Give the share' }).click()
  await page.getByText('The key share is not valid').waitFor()
  await page.getByLabel('Key share').fill(keys[0] ?? '')
  await page.getByRole('button', { name: 'Give the share' }).click()
  await page.getByText('1 of 2 shares given').waitFor()
  await assertGood(visitor, 'vault-unsealing', planted)
  await page.getByLabel('Key share').fill(keys[2] ?? '')
  await page.getByRole('button', { name: 'Give the share' }).click()
  await page.getByText('Open', { exact: true }).waitFor()
  await assertGood(visitor, 'vault-unsealed', planted)
})
