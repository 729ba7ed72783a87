import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../../core/index.ts'
import { configFrom } from './config.ts'
import { createDiscovery } from './discovery.ts'

/** A provider that holds its answers back. */
async function slowProvider(t: TestContext) {
  const waiting: ServerResponse[] = []
  const server = createServer((_, response) => void waiting.push(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asked = async (): Promise<ServerResponse> => {
    while (waiting.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    return waiting.shift() as ServerResponse
  }
  return { url, waiting, asked, about: JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }) }
}

test('VAULT-2: all who begin to sign in while a provider is asked wait for one answer', async (t) => {
  const provider = await slowProvider(t)
  const config = configFrom({ oidc_discovery_url: provider.url }, undefined)
  const discovery = createDiscovery(systemClock)
  const first = Array.from({ length: 50 }, () => discovery.of(config))
  const failed = Promise.allSettled(first)
  ;(await provider.asked()).writeHead(503).end()
  for (const { status } of await failed) assert.equal(status, 'rejected')

  // A failure is not kept.
  const second = Promise.all(Array.from({ length: 50 }, () => discovery.of(config)))
  ;(await provider.asked()).end(provider.about)
  for (const { issuer } of await second) assert.equal(issuer, provider.url)
  assert.equal((await discovery.of(config)).issuer, provider.url)
  assert.equal(provider.waiting.length, 0)
})
