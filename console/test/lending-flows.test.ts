// UI-1: what agents ask for, what people grant, and what is shown when it ends, in a real browser, against the contract.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { rollout } from './support/agent-fixtures.ts'
import { assertClean } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import { fullHandlers } from './support/scenarios.ts'
import { narrow, openStage, wide } from './support/stage.ts'

const { server, open, callsOf } = openStage()

describe('UI-1, LEND-4: an agent asks for a secret', () => {
  test('a person reads reason and places, leaves one of them, enters the secret masked, and it is shown nowhere', async (t) => {
    const value = `test-${randomBytes(12).toString('hex')}`
    const seen = await open(t, '/agents', narrow)
    const { page } = seen
    await page.getByText('shop-agent: Send the receipt of order 17').waitFor()
    await page.getByRole('button', { name: 'Enter it… mail' }).click()
    const dialog = page.getByRole('dialog', { name: 'A secret for shop-agent' })
    await dialog.getByRole('button', { name: 'Store and grant it' }).click()
    await dialog.getByText('Enter the secret.').waitFor()
    const secret = dialog.getByLabel('The secret')
    assert.equal(await secret.getAttribute('type'), 'password')
    await secret.fill(value)
    await dialog.getByRole('checkbox', { name: 'files.mail.example:8443' }).uncheck()
    await assertClean(seen)
    await dialog.getByRole('button', { name: 'Store and grant it' }).click()
    await dialog.waitFor({ state: 'detached' })
    assert.deepEqual(callsOf('asks.answer')[0]?.input, {
      askId: 'ask_1',
      value,
      destinations: [{ host: 'api.mail.example', port: 443, methods: ['POST'], pathPrefix: '/v3/send' }],
      maxTtlSeconds: 300,
      expiresInSeconds: 86_400,
    })
    assert.ok(!(await page.content()).includes(value))
  })

  test('without a place left nothing is sent; a question is denied with a reason, and closed ones say how', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', wide)
    const { page } = seen
    await page.getByText('Use the public tiles').waitFor()
    await page.getByRole('button', { name: 'Enter it… mail' }).last().click()
    const dialog = page.getByRole('dialog', { name: 'A secret for shop-agent' })
    await dialog.waitFor()
    for (const place of await dialog.getByRole('checkbox').all()) await place.uncheck()
    await dialog.getByLabel('The secret').fill('not sent')
    await dialog.getByRole('button', { name: 'Store and grant it' }).click()
    await dialog.getByText('Leave at least one, or deny it.').waitFor()
    assert.equal(callsOf('asks.answer').length, 0)
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Deny… mail' }).last().click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('Use the test account')
    await page.getByRole('button', { name: 'Deny', exact: true }).click()
    await page.getByRole('dialog', { name: 'Deny shop-agent this secret?' }).waitFor({ state: 'detached' })
    assert.deepEqual(callsOf('asks.deny')[0]?.input, { askId: 'ask_1', reason: 'Use the test account' })
    await assertClean(seen)
  })

  test('the overview says that an agent waits, and that an end is not proved', async (t) => {
    const full = fullHandlers()
    const status = Object.assign(Object.create(null), full['system.status']?.({}))
    const leaseProofs = { unproved: 2, oldestAt: status.startedAt }
    server.answer({ ...full, 'system.status': () => ({ ...status, openAsks: 1, leaseProofs }) })
    const seen = await open(t, '/', narrow)
    await seen.page.getByText('An agent asks for a secret').waitFor()
    await seen.page.getByText('Look at 2 leases whose end is not proved').waitFor()
    await assertClean(seen)
  })
})

describe('UI-1, LEND-1: a person grants a secret', () => {
  test('to places, in a way, for a time, with a budget; what is missing is said at its field', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', narrow)
    const { page } = seen
    await page.getByRole('button', { name: 'Grant a secret…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Let shop-agent borrow a secret' })
    await dialog.getByLabel('How it is sent').selectOption('header')
    await dialog.getByRole('button', { name: 'Grant it' }).click()
    for (const told of ['Name a secret, mount first.', 'Name at least one host.', 'Fill this in.'])
      await dialog.getByText(told).waitFor()
    await dialog.getByLabel('Secret', { exact: true }).fill('secret/shop/stripe')
    await dialog
      .getByLabel('Where it may go')
      .fill('POST,PUT api.stripe.com/v1/*/refunds\nfiles.stripe.com:8443/v2')
    await dialog.getByLabel('Its name').fill('X-Api-Key')
    await dialog.getByLabel('Uses a minute').fill('10')
    await dialog.getByLabel('For', { exact: true }).selectOption('week')
    await dialog.getByRole('checkbox').check()
    await dialog.getByLabel('Reason').fill('Refunds of the spring sale')
    await assertClean(seen)
    await dialog.getByRole('button', { name: 'Grant it' }).click()
    await dialog.waitFor({ state: 'detached' })
    assert.deepEqual(callsOf('leases.grant')[0]?.input, {
      agentId: 'agt_1',
      secretPath: 'secret/shop/stripe',
      field: 'value',
      destinations: [
        { host: 'api.stripe.com', port: 443, methods: ['POST', 'PUT'], pathPattern: '/v1/*/refunds' },
        { host: 'files.stripe.com', port: 8443, pathPrefix: '/v2' },
      ],
      injection: { kind: 'header', name: 'X-Api-Key' },
      budget: { usesPerMinute: 10 },
      maxTtlSeconds: 300,
      expiresInSeconds: 604_800,
      delegable: true,
      reason: 'Refunds of the spring sale',
    })
  })
})

describe('UI-1, LEND-3: what is lent, and its end', () => {
  test('a lease shows who was asked about its end, and to whom parts of it were passed on', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', wide)
    const { page } = seen
    await page.getByText('passed on to helper-bot').waitFor()
    await page.getByText('GET api.stripe.com/v1/*/refunds').waitFor()
    await page.getByText('End proved').click()
    await page.getByText('answer 403 lease.ended, refused').waitFor()
    await assertClean(seen)
  })

  test('the task of a run shows what was lent for it', async (t) => {
    const seen = await open(t, '/runs/run_7f3a?task=call', wide)
    await seen.page.getByText('Lent for it').waitFor()
    await seen.page.getByText('End proved').first().waitFor()
    await assertClean(seen)
  })
})

describe('UI-1, POL-3: how far an agent is let', () => {
  test('POL-3: it is promoted with a reason on what is shown, and what speaks against it keeps it where it is', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', wide)
    const { page } = seen
    await page.getByText('Forty good runs in staging').waitFor()
    await page.getByRole('button', { name: 'Promote…' }).click()
    await page.getByRole('button', { name: 'Promote', exact: true }).click()
    await page.getByText('three characters or more').waitFor()
    assert.equal(callsOf('rollout.set_phase').length, 0)
    await page.getByRole('textbox', { name: 'Reason' }).fill('Two weeks without a fault')
    await page.getByRole('button', { name: 'Promote', exact: true }).click()
    await page.getByText('shop-agent is production').waitFor()
    assert.deepEqual(callsOf('rollout.set_phase')[0]?.input, {
      agentId: 'agt_1',
      phase: 'production',
      reason: 'Two weeks without a fault',
    })
    server.answer({ 'rollout.read': () => ({ ...rollout, hindrance: 'it met a violation yesterday' }) })
    await page.reload()
    await page.getByText('Not yet ready for production: it met a violation yesterday').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Promote…' }).isDisabled(), true)
    await assertClean(seen)
  })

  test('POL-3: it is demoted and only observed, each with a reason; a refusal is shown', async (t) => {
    const { page } = await open(t, '/agents?agent=agt_1', narrow)
    await page.getByRole('button', { name: 'Only observe…' }).click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('Its first days')
    await page.getByRole('button', { name: 'Only observe', exact: true }).click()
    await page.getByText('nothing of it is executed').first().waitFor()
    server.answer({
      'rollout.set_phase': () => {
        throw new Refusal('policy.denied', 'Only an owner may.')
      },
    })
    await page.getByRole('button', { name: 'Demote…' }).click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('To be safe')
    await page.getByRole('button', { name: 'Demote', exact: true }).click()
    await page.getByText('Only an owner may.').waitFor()
  })
})
