// IDENT-1, APPR-1: security keys in a real browser on the real server: added, then shown by another session before a change and an answer.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { api } from '@keyward/contract'
import type { Browser, CDPSession } from 'playwright-core'
import { openBrowser, openVisitor, type Visitor } from './support/browser.ts'
import { openGitHubServer } from './support/github-server.ts'
import { codeOf, type RunningServer, startServer } from './support/server.ts'
import { ended, pendingApproval } from './support/steps.ts'

/** Keys belong to names, and the address that the server prints is made of numbers. */
const originOf = ({ address }: RunningServer): string => address.replace('127.0.0.1', 'localhost')

type Holder = Visitor & { readonly session: CDPSession; readonly authenticatorId: string }

/** A browser profile of somebody with a key in their hand. */
async function openHolder(browser: Browser): Promise<Holder> {
  const visitor = await openVisitor(browser)
  const session = await visitor.page.context().newCDPSession(visitor.page)
  await session.send('WebAuthn.enable')
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'usb',
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return { ...visitor, session, authenticatorId }
}

const linkOf = async (server: RunningServer, personId: string): Promise<string> =>
  (await server.call(api.people.link, { personId })).code

async function signIn(server: RunningServer, { page }: Visitor, personId: string, path: string) {
  const code = await linkOf(server, personId)
  await page.context().clearCookies()
  await page.goto('about:blank')
  await page.goto(`${originOf(server)}/#code=${encodeURIComponent(code)}`)
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.goto(`${originOf(server)}${path}`)
}

async function addKey({ page }: Visitor, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Add a security key' }).click()
  await page.getByLabel('Its name').fill(name)
  await page.getByRole('button', { name: 'Touch the key' }).click()
  await page.getByText('those from before count no more').waitFor()
  await page.getByRole('button', { name: 'I have kept it' }).click()
  await page.getByText(name).first().waitFor()
}

const toldOf = async (server: RunningServer, actor: string): Promise<string[]> => {
  const { items } = await server.call(api.audit.list, { limit: 200 })
  const own = items.filter((entry) => entry.type.startsWith('factor.') && entry.actor === actor)
  return own.map(({ type }) => type).toReversed()
}

test('IDENT-1: a key that the browser made is taken, and what it signs lets its owner remove it', async (t) => {
  const server = await startServer(t)
  const holder = await openHolder(await openBrowser(t))
  const { page } = holder
  const [owner] = (await server.call(api.people.list, {})).items
  const ownerId = owner?.id ?? ''

  await signIn(server, holder, ownerId, '/people/factors')
  await addKey(holder, 'Blue key')

  await signIn(server, holder, ownerId, '/people/factors')
  await page.getByRole('button', { name: 'Remove… Blue key' }).click()
  await page.getByRole('button', { name: 'Remove it' }).click()
  await page.getByText('To remove a second factor, show one first.').waitFor()
  await page.getByRole('button', { name: 'Use a security key' }).click()
  await page.getByText('You have no second factor').waitFor()
  assert.deepEqual(await toldOf(server, `person:${ownerId}`), [
    'factor.added',
    'factor.codes_made',
    'factor.confirmed',
    'factor.removed',
  ])
  assert.deepEqual(holder.complaints, [])
})

/** Runs that wait for an answer of high risk: each merges a pull request of a service that speaks GitHub's API. */
async function openMerges(t: TestContext, server: RunningServer, count: number) {
  const gitHub = await openGitHubServer(t)
  await server.call(api.secrets.write, {
    path: 'secret/github/app',
    set: { private_key: gitHub.privateKeyPem },
    cas: 0,
  })
  const { settings, repository } = gitHub
  const kept = { name: 'code', connector: 'github', settings, secretPath: 'secret/github/app' }
  await server.call(api.connections.create, kept)
  const runs = Array.from({ length: count }, async (_, i) => {
    const branch = `feature-${i}`
    gitHub.branches.set(branch, gitHub.branches.get('main') ?? '')
    gitHub.commit(branch, 'a change', { [`change-${i}.txt`]: 'new' })
    const { number, head } = gitHub.openPull(branch)
    const args = { connection: 'code', repository, number, headSha: head.sha }
    const task = { id: 'merge', title: `Merge #${number}`, action: 'github.merge-pull-request', args }
    const { id: runId } = await server.call(api.runs.start, { plan: { title: task.title, tasks: [task] } })
    return { runId, number, approval: await pendingApproval(server, runId) }
  })
  return { gitHub, runs: await Promise.all(runs) }
}

test('APPR-1, IDENT-1: what is of high risk is approved with a security key, and with nothing less', async (t) => {
  const server = await startServer(t)
  const { gitHub, runs } = await openMerges(t, server, 2)
  const [first, second] = runs
  assert.ok(first && second)
  assert.equal(first.approval.risk, 'high')
  const person = async (name: string): Promise<string> =>
    (await server.call(api.people.create, { name, roles: ['approver'] })).person.id
  const [mary, noah] = [await person('mary'), await person('noah')]
  const browser = await openBrowser(t)
  const [hers, his] = [await openHolder(browser), await openHolder(browser)]
  const { page } = hers
  const merged = (): boolean[] => runs.map(({ number }) => gitHub.pulls.get(number)?.merged === true)
  const confirmations: string[] = []
  page.on('request', (request) => {
    if (request.url().endsWith('/second-factors/confirm')) confirmations.push(request.postData() ?? '')
  })
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
  const askForKey = async (): Promise<void> => {
    await press('Approve…')
    await press('Approve it')
    await page.getByText('What is of this risk needs a second factor').waitFor()
  }

  await t.test('who has no key is led to where one is added', async () => {
    await signIn(server, hers, mary, `/approvals/${first.approval.id}`)
    await askForKey()
    await page.getByRole('link', { name: 'Add a second factor' }).click()
    await addKey(hers, 'Blue key')
    await signIn(server, his, noah, '/people/factors')
    await addKey(his, 'Red key')
  })

  const { credentials: own } = await hers.session.send('WebAuthn.getCredentials', hers)
  const { credentials: strange } = await his.session.send('WebAuthn.getCredentials', his)
  const hold = async (credentials: typeof own): Promise<void> => {
    const { authenticatorId } = hers
    await hers.session.send('WebAuthn.clearCredentials', { authenticatorId })
    for (const credential of credentials)
      await hers.session.send('WebAuthn.addCredential', { authenticatorId, credential })
  }

  await t.test('another account’s key is not even asked for', async () => {
    await signIn(server, hers, mary, `/approvals/${first.approval.id}`)
    await hold(strange)
    await askForKey()
    await press('Use a security key')
    await page.getByText('The key did not answer').waitFor()
    assert.deepEqual(confirmations, [])
  })

  await t.test('nor does it count when a page has it sign all the same', async () => {
    await page.route('**/second-factors/challenge', async (route) => {
      const response = await route.fetch()
      const json = { ...(await response.json()), credentials: [urlOf(strange[0]?.credentialId ?? '')] }
      await route.fulfill({ response, json })
    })
    await press('Use a security key')
    await page.getByText('factor.wrong').waitFor()
    assert.equal(confirmations.length, 1)
    assert.deepEqual(merged(), [false, false])
    await page.unroute('**/second-factors/challenge')
  })

  await t.test('her own key lets the run go on, and does what was approved', async () => {
    await hold(own)
    await press('Use a security key')
    await page.getByText('Approved: the run goes on').waitFor()
    const run = await ended(server, first.runId)
    assert.equal(run.state, 'Succeeded', run.reason ?? '')
    assert.deepEqual(merged(), [true, false])
    const decided = await server.call(api.approvals.read, { approvalId: first.approval.id })
    assert.deepEqual(
      decided.approvals.map(({ by }) => by),
      [`person:${mary}`],
    )
  })

  await t.test('what the key has signed once is worth nothing in another session', async () => {
    const exchanged = await server.ask('POST', '/api/v1/session/exchange', {
      token: null,
      body: { code: await linkOf(server, mary), kind: 'bearer' },
    })
    const { token } = exchanged.body as { token: string }
    const post = (path: string, body: unknown) => server.ask('POST', `/api/v1${path}`, { token, body })
    const old = JSON.parse(confirmations.at(-1) ?? '') as object
    assert.equal(codeOf(await post('/second-factors/confirm', old)), 'factor.wrong')
    const { id, digest } = second.approval
    assert.equal(codeOf(await post(`/approvals/${id}/approve`, { digest })), 'approval.second_factor')
    assert.equal((await server.call(api.approvals.read, { approvalId: id })).state, 'pending')
    assert.deepEqual(merged(), [true, false])
  })

  assert.deepEqual(await toldOf(server, `person:${mary}`), [
    'factor.added',
    'factor.codes_made',
    'factor.refused',
    'factor.confirmed',
    'factor.refused',
  ])
  assert.deepEqual([...hers.complaints, ...his.complaints], [])
})

/** Base 64 as the contract has it. */
const urlOf = (base64: string): string => Buffer.from(base64, 'base64').toString('base64url')
