import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Injection, Proof } from '@keyward/contract'
import { type LendWorld, lent, openLendWorld, system } from '../../test/support/lend-world.ts'
import { newRsaKey, openTokenServer, type TokenServer } from '../../test/support/token-server.ts'
import { temporaryFolder } from '../../test/support/world.ts'

const clientOf = (server: TokenServer, more: object = {}): Injection => ({
  kind: 'oauth-client',
  tokenUrl: `${server.url}/token`,
  clientId: server.client.id,
  signIn: 'basic',
  caPem: server.caPem,
  revokeUrl: `${server.url}/revoke`,
  probeUrl: `${server.url}/userinfo`,
  ...more,
})

/** A lease that has been used once; `end` revokes it and shows that. */
async function used(world: LendWorld, injection: Injection) {
  const { lease, claim } = await lent(world, {}, { injection, maxLeases: 1 })
  const token = (await world.lend.use(claim)).value.reveal()
  const prove = async () => {
    world.clock.advance(15 * 60_000)
    await world.lend.proveDue()
    return receipt()
  }
  const receipt = async () => {
    const shown = (await world.lend.read(lease.id))?.receipt
    const [, ...proofs] = shown?.proofs ?? []
    return { state: shown?.state, proofs, results: proofs.map(({ result }: Proof) => result) }
  }
  const end = async () => {
    await world.store.write((tx) => world.lend.revoke(tx, lease.id, 'the task is over', system))
    await world.lend.proveDue()
    return receipt()
  }
  return { lease, claim, token, end, prove }
}

async function opened(t: TestContext, options: Parameters<typeof openLendWorld>[1] = {}) {
  const server = await openTokenServer(t)
  const world = await openLendWorld(t, options)
  world.vault.fields = { value: server.client.secret }
  return { server, world }
}

test('LEND-3: a minted token is revoked at its server with its lease, and refused there (RFC 7009)', async (t) => {
  const { server, world } = await opened(t)
  for (const signIn of ['basic', 'body']) {
    const { token, end } = await used(world, clientOf(server, { signIn }))
    const { state, proofs } = await end()
    assert.ok(server.revoked.has(token))
    assert.equal(state, 'proved')
    assert.deepEqual(proofs, [
      {
        by: new URL(server.url).host,
        how: 'revoked at its server, then shown to it',
        answer: '200, then 401',
        result: 'refused',
        livesUntil: null,
      },
    ])
  }
  assert.equal(world.sealed.size, 0, 'what was kept to end it is gone')
  const stored = JSON.stringify([
    await world.store.all({ text: 'select * from audit_entries', values: [] }),
    await world.store.all({ text: 'select * from lend_tokens', values: [] }),
  ])
  for (const token of server.issued) assert.ok(!stored.includes(token))
})

test('LEND-3: a refresh token buys a token that is revoked too, by a client without a secret as well', async (t) => {
  const { server, world } = await opened(t)
  world.vault.fields = { value: server.refreshToken, client: server.client.secret }
  const refresh = { kind: 'oauth-refresh', clientSecretField: 'client' }
  const { end } = await used(world, clientOf(server, refresh))
  assert.deepEqual((await end()).results, ['refused'])
  const { clientSecretField: _, ...open } = refresh
  const publicOne = await used(world, clientOf(server, open))
  const { state, proofs } = await publicOne.end()
  // This server revokes for clients that sign in alone.
  assert.deepEqual([state, proofs[0]?.answer], ['lives_on', '401, then 200'])
})

test('LEND-3: a token of a GitHub App is revoked with itself, and refused by GitHub', async (t) => {
  const { publicKey, pem } = newRsaKey()
  const server = await openTokenServer(t, publicKey)
  const world = await openLendWorld(t)
  world.vault.fields = { value: pem }
  const { url: apiUrl, caPem } = server
  const { end, token } = await used(world, {
    kind: 'github-app',
    appId: '12',
    installationId: 34,
    apiUrl,
    caPem,
  })
  const { state, proofs } = await end()
  assert.deepEqual([state, proofs[0]?.answer, proofs[0]?.result], ['proved', '204, then 401', 'refused'])
  assert.ok(server.revoked.has(token))
})

test('LEND-3: a token of Google that is not revoked there is told with the rest of its life', async (t) => {
  const { publicKey, pem } = newRsaKey()
  const server = await openTokenServer(t, publicKey)
  const world = await openLendWorld(t)
  const account = { client_email: 'a@b.example', private_key: pem, token_uri: `${server.url}/token` }
  world.vault.fields = { value: JSON.stringify(account) }
  const how: Injection = { kind: 'google-service-account', scopes: ['a'], caPem: server.caPem }
  const first = await used(world, how)
  const confirmed = await first.end()
  assert.deepEqual([confirmed.state, confirmed.results], ['proved', ['confirmed']])
  server.revoking = 'refuses'
  const second = await used(world, how)
  const { state, proofs } = await second.end()
  assert.equal(state, 'lives_on')
  assert.equal(proofs[0]?.answer, '400')
  assert.equal(Date.parse(proofs[0]?.livesUntil ?? '') - world.clock.now().getTime(), 3_600_000)
})

test('LEND-3: a server that does not revoke is not asked again; without an address nobody is asked', async (t) => {
  const { server, world } = await opened(t)
  const { end } = await used(world, clientOf(server, { revokeUrl: undefined }))
  const { state, proofs } = await end()
  assert.deepEqual([state, proofs[0]?.how], ['lives_on', 'nothing is known that revokes it there'])
  assert.equal(server.asked.length, 1, 'but for the token itself')
})

test('LEND-3: a server that says revoked and goes on taking the token is an alert until the token ends', async (t) => {
  const { server, world } = await opened(t)
  server.revoking = 'lies'
  const { end, prove } = await used(world, clientOf(server))
  const first = await end()
  assert.deepEqual([first.state, first.results], ['unproved', ['accepted']])
  assert.equal((await world.lend.unproved()).count, 1)
  assert.deepEqual((await prove()).results, ['accepted'])
  world.clock.advance(3_600_000)
  const last = await prove()
  assert.deepEqual([last.state, last.results], ['proved', ['confirmed']])
})

test('LEND-3: while the server is away the token is not taken for revoked; it is asked again', async (t) => {
  const { server, world } = await opened(t)
  const { end, prove } = await used(world, clientOf(server))
  server.instead = { status: 503, text: '' }
  const away = await end()
  assert.deepEqual([away.state, away.proofs[0]?.answer], ['unproved', '503, then 503'])
  server.instead = undefined
  assert.deepEqual((await prove()).results, ['refused'])
})

test('LEND-3: a token that two leases share is ended with the last of them, and nobody gets it after', async (t) => {
  const { server, world } = await opened(t)
  const first = await used(world, clientOf(server))
  const second = await used(world, clientOf(server))
  assert.equal(first.token, second.token)
  const one = await first.end()
  assert.equal(one.state, 'lives_on')
  assert.match(one.proofs[0]?.how ?? '', new RegExp(`serves the lease ${second.lease.id} too`))
  assert.ok(!server.revoked.has(first.token))
  assert.equal((await world.lend.use(second.claim)).value.reveal(), first.token)
  assert.deepEqual((await second.end()).results, ['refused'])
  const third = await used(world, clientOf(server))
  assert.notEqual(third.token, first.token)
})

test('LEND-3: a token of a killed server is revoked by the next one', async (t) => {
  const dataDir = temporaryFolder(t)
  const { server, world } = await opened(t, { dataDir })
  const { lease, token } = await used(world, clientOf(server))
  const sealed = [...world.sealed]
  await world.close()
  const next = await openLendWorld(t, { dataDir, clock: world.clock }, 'second')
  next.vault.fields = world.vault.fields
  for (const [path, bytes] of sealed) next.sealed.set(path, bytes)
  next.clock.advance(300_000)
  await next.lend.expireDue()
  await next.lend.proveDue()
  assert.equal((await next.lend.read(lease.id))?.receipt?.state, 'proved')
  assert.ok(server.revoked.has(token))
})
