// UI-1, APPR-1, IDENT-1: second factors are added, shown and removed, with a security key of the browser's own.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { assertClean } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import * as data from './support/fixtures.ts'
import { narrow, openStage } from './support/stage.ts'

const { server, open, openAlone, callsOf } = openStage()

const needed = (): never => {
  throw new Refusal('factor.needed', 'Show a second factor first.')
}

describe('UI-1, IDENT-1: second factors', () => {
  test('IDENT-1: an app is added: its secret, the code that it shows, then recovery codes, once', async (t) => {
    const { page, ...seen } = await open(t, '/people/factors', narrow)
    await page.getByRole('button', { name: 'Add an app' }).click()
    await page.getByLabel('Its name').fill('Old phone')
    await page.getByRole('button', { name: 'Show its secret' }).click()
    await page.getByText('MADE UPMA').waitFor()
    await page.getByAltText('QR code with the secret').waitFor()
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('Six digits are needed.').waitFor()
    assert.equal(callsOf('second_factors.finish_totp').length, 0)
    await assertClean({ page, ...seen })
    await page.getByLabel('Code of your app').fill('123 456')
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('those from before count no more').waitFor()
    assert.deepEqual(callsOf('second_factors.finish_totp')[0]?.input, { factorId: 'fac_3', code: '123456' })
    await page.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  test('IDENT-1: a security key is added, answers the very challenge, and is bound to this origin', async (t) => {
    const page = await withKey(t)
    await page.getByRole('button', { name: 'Add a security key' }).click()
    await page.getByRole('button', { name: 'Touch the key' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const [asked] = callsOf('second_factors.add_key')
    const [answered] = callsOf('second_factors.finish_key')
    const client = JSON.parse(Buffer.from(String(answered?.input['clientData']), 'base64url').toString())
    assert.equal(client.type, 'webauthn.create')
    assert.equal(client.origin, asked?.input['origin'])
    assert.ok(String(answered?.input['attestation']).length > 100)
  })

  test('IDENT-1: a key that is called off says so, and by an address in numbers there are no keys', async (t) => {
    const page = await withKey(t, { answers: false })
    await page.getByRole('button', { name: 'Add a security key' }).click()
    await page.getByRole('button', { name: 'Touch the key' }).click()
    await page.getByText('The key did not answer').waitFor()
    const plain = await open(t, '/people/factors')
    await plain.page.getByRole('button', { name: 'Add a security key' }).click()
    await plain.page.getByText('they need HTTPS, or the address localhost').waitFor()
    assert.equal(await plain.page.getByRole('button', { name: 'Touch the key' }).isDisabled(), true)
  })

  test('IDENT-1: to remove one, another is shown first; new recovery codes take the same', async (t) => {
    const { page } = await open(t, '/people/factors')
    server.answer({ 'second_factors.remove': needed, 'second_factors.recovery_codes': needed })
    await page.getByRole('button', { name: 'Remove… My phone' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await page.getByText('To remove a second factor, show one first.').waitFor()
    server.answer({
      'second_factors.confirm': () => {
        throw new Refusal('factor.wrong', 'This code was used before.')
      },
    })
    await page.getByLabel('Code of your app').fill('123456')
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('This code was used before.').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Make new ones' }).click()
    await page.getByText('To make new recovery codes, show a second factor first.').waitFor()
  })
})

describe('UI-1, APPR-1: what needs a second factor', () => {
  test('APPR-1: the answer waits for it, then goes out by itself with the same digest', async (t) => {
    const { page, ...seen } = await open(t, '/approvals/apr_2', narrow)
    let shown = false
    server.answer({
      'approvals.approve': () => {
        if (shown) return { ...data.graveApproval, state: 'approved' }
        throw new Refusal('approval.second_factor', 'Show a second factor first.')
      },
      'second_factors.confirm': () => {
        shown = true
        return { kind: 'totp', freshUntil: data.graveApproval.expiresAt }
      },
    })
    await page.getByRole('button', { name: 'Approve…' }).click()
    await page.getByRole('button', { name: 'Approve it' }).click()
    await page.getByText('What is of this risk needs a second factor').waitFor()
    await assertClean({ page, ...seen })
    await page.getByLabel('Code of your app').fill('654321')
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('Approved: the run goes on').waitFor()
    assert.deepEqual(
      callsOf('approvals.approve').map(({ input }) => input['digest']),
      [data.graveApproval.digest, data.graveApproval.digest],
    )
  })

  test('APPR-1: who has none is led to where one is added', async (t) => {
    const { page } = await open(t, '/approvals/apr_2')
    server.answer({
      'second_factors.list': () => ({ items: [], recoveryCodesLeft: 0 }),
      'approvals.approve': () => {
        throw new Refusal('approval.second_factor', 'Show a second factor first.')
      },
    })
    await page.getByRole('button', { name: 'Approve…' }).click()
    await page.getByRole('button', { name: 'Approve it' }).click()
    await page.getByRole('link', { name: 'Add a second factor' }).click()
    await page.getByRole('heading', { name: 'Your second factors' }).waitFor()
  })
})

/** The page by a name instead of an address, with a security key that the browser plays. */
async function withKey(t: TestContext, { answers = true } = {}): Promise<Page> {
  const { page, context } = await openAlone(t, '/people/factors')
  const session = await context.newCDPSession(page)
  await session.send('WebAuthn.enable')
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'usb',
      hasUserVerification: true,
      isUserVerified: answers,
      hasResidentKey: true,
      automaticPresenceSimulation: answers,
    },
  })
  await page.goto(`${server.origin.replace('127.0.0.1', 'localhost')}/people/factors`)
  if (!answers)
    await page.evaluate(() => {
      navigator.credentials.create = () => Promise.reject(new DOMException('called off', 'NotAllowedError'))
    })
  return page
}
