// IDENT-1, APPR-1: a security key in a real browser on the real server: added, then shown by another session before a change.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { openBrowser, openVisitor } from './support/browser.ts'
import { startServer } from './support/server.ts'

test('IDENT-1: a key that the browser made is taken, and what it signs lets its owner remove it', async (t) => {
  const server = await startServer(t)
  const browser = await openBrowser(t)
  const { page, complaints } = await openVisitor(browser)
  const session = await page.context().newCDPSession(page)
  await session.send('WebAuthn.enable')
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'usb',
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  // Keys belong to names, and the address that the server prints is made of numbers.
  const origin = server.address.replace('127.0.0.1', 'localhost')
  const [owner] = (await server.call(api.people.list, {})).items
  const signIn = async (): Promise<void> => {
    const { code } = await server.call(api.people.link, { personId: owner?.id ?? '' })
    await page.context().clearCookies()
    await page.goto('about:blank')
    await page.goto(`${origin}/#code=${encodeURIComponent(code)}`)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.goto(`${origin}/people/factors`)
  }

  await signIn()
  await page.getByRole('button', { name: 'Add a security key' }).click()
  await page.getByLabel('Its name').fill('Blue key')
  await page.getByRole('button', { name: 'Touch the key' }).click()
  await page.getByText('those from before count no more').waitFor()
  await page.getByRole('button', { name: 'I have kept it' }).click()
  await page.getByText('Blue key').first().waitFor()

  await signIn()
  await page.getByRole('button', { name: 'Remove… Blue key' }).click()
  await page.getByRole('button', { name: 'Remove it' }).click()
  await page.getByText('To remove a second factor, show one first.').waitFor()
  await page.getByRole('button', { name: 'Use a security key' }).click()
  await page.getByText('You have no second factor').waitFor()
  const { items } = await server.call(api.audit.list, { limit: 50 })
  const told = items.map(({ type }) => type).filter((type) => type.startsWith('factor.'))
  assert.deepEqual(told.toReversed(), [
    'factor.added',
    'factor.codes_made',
    'factor.confirmed',
    'factor.removed',
  ])
  assert.deepEqual(complaints, [])
})
