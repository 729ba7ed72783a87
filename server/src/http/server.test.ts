import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { AppError, silentLog, systemClock } from '../core/index.ts'
import { startHttpServer } from './server.ts'

type Needs = Parameters<typeof startHttpServer>[2]

/** Nothing is asked of the domains before a request arrives. */
const needs = {
  log: silentLog,
  clock: systemClock,
  routes: () => [],
  consoleDir: '/nowhere',
  version: '0',
} as unknown as Needs

const refusedWith = (code: string) => (error: unknown) => error instanceof AppError && error.code === code

test('OPS-4: an address that is not loopback needs TLS', async () => {
  await assert.rejects(startHttpServer('0.0.0.0:0', undefined, needs), refusedWith('request.invalid'))
})

test('OPS-1: a port that is in use is said in words that help', async (t: TestContext) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const address = other.address()
  assert.ok(address !== null && typeof address === 'object')
  await assert.rejects(startHttpServer(`127.0.0.1:${address.port}`, undefined, needs), (error: unknown) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'server.cannot_listen')
    assert.match(error.detail ?? '', /in use.*--listen/)
    return true
  })
})

test('OPS-4: a page of another site, or of another port of this machine, reaches nothing of the vault', async (t: TestContext) => {
  const asked: string[] = []
  const handle = async ({ path }: { path: string }) => {
    asked.push(path)
    return { status: 204, body: undefined }
  }
  const vault = { handle, admits: async () => false }
  const server = await startHttpServer('127.0.0.1:0', undefined, { ...needs, vault } as Needs)
  t.after(() => server.close())
  const ask = (headers: Record<string, string>) =>
    fetch(`${server.address}/v1/sys/init`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', ...headers },
      body: '{}',
    })
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[])
    assert.equal((await ask(headers)).status, 403, JSON.stringify(headers))
  assert.deepEqual(asked, [])
  assert.equal((await ask({ origin: server.address })).status, 204)
  assert.equal((await ask({})).status, 204)
  // Except where an identity provider sends people back, with the state that it was given.
  const back = async (path: string) =>
    (await fetch(`${server.address}/v1/${path}`, { headers: { 'sec-fetch-site': 'cross-site' } })).status
  assert.equal(await back('auth/a/b/oidc/callback?state=x'), 204)
  for (const path of [
    'auth/oidc/oidc/callback/more',
    'sys/mounts?x=/v1/auth/oidc/oidc/callback',
    'x/oidc/callback',
  ])
    assert.equal(await back(path), 403, path)
})
