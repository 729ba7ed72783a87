// The whole server, sealed by the transit key of a real OpenBao server that comes and goes.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { baoOrSkip } from './support/bao.ts'
import { runner, succeeds } from './support/bao-runner.ts'
import { openBaoSealedBy, openBaoServer } from './support/openbao-server.ts'
import { type RunningServer, scratchFolder, startServer } from './support/server.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

/** A way to another server that can be cut. */
async function openWay(t: TestContext, url: string): Promise<{ url: string; cut(off: boolean): void }> {
  const target = Number(new URL(url).port)
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    if (isCut) {
      socket.destroy()
      return
    }
    const onward = connect(target, '127.0.0.1')
    sockets.add(onward)
    onward.on('error', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (off: boolean): void => {
    isCut = off
    if (off) for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    cut(true)
    server.close()
  })
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, cut }
}

const sealed = async (server: RunningServer): Promise<boolean> =>
  ((await server.ask('GET', '/v1/sys/seal-status')).body as { sealed: boolean }).sealed

test('VAULT-1: the server starts sealed while the other vault is away, says why, and opens when it is back', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const other = await openBaoServer(t, path)
  const bao = runner(t, path, other.url, other.token, 'json')
  await succeeds(bao('secrets', 'enable', 'transit'))
  await succeeds(bao('write', '-f', 'transit/keys/keyward'))
  const way = await openWay(t, other.url)
  const dataDir = scratchFolder(t)
  const tokenFile = join(dataDir, 'seal.token')
  writeFileSync(tokenFile, other.token, { mode: 0o600 })
  const env = {
    KEYWARD_SEAL: 'transit',
    KEYWARD_SEAL_TRANSIT_ADDR: way.url,
    KEYWARD_SEAL_TRANSIT_KEY_NAME: 'keyward',
    KEYWARD_SEAL_TRANSIT_TOKEN_FILE: tokenFile,
  }
  const first = await startServer(t, { dataDir, args: [], env })
  const made = await succeeds(
    runner(
      t,
      path,
      first.address,
      undefined,
      'json',
    )('operator', 'init', '-recovery-shares=1', '-recovery-threshold=1'),
  )
  const rootToken = String(JSON.parse(made).root_token)
  assert.equal(JSON.parse(made).recovery_keys_hex.length, 1)
  const put = { body: { data: { value: 'kept' } }, token: null, headers: { 'X-Vault-Token': rootToken } }
  assert.equal((await first.ask('POST', '/v1/secret/data/a', put)).status, 200)
  await first.stop('SIGKILL')

  way.cut(true)
  const second = await startServer(t, { dataDir, args: [], env })
  assert.equal(await sealed(second), true)
  const health = await second.ask('GET', '/healthz', { token: null })
  assert.match(
    JSON.stringify(health.body),
    /the transit key transit\/keyward at 127\.0\.0\.1:\d+ did not decrypt/,
  )
  way.cut(false)
  while (await sealed(second)) await sleep(50)
  const { body } = await second.ask('GET', '/v1/secret/data/a', {
    token: null,
    headers: { 'X-Vault-Token': rootToken },
  })
  assert.equal((body as { data: { data: { value: string } } }).data.data.value, 'kept')
})

test('VAULT-1: a seal without its settings is refused before anything is opened', async (t) => {
  await assert.rejects(
    startServer(t, { args: ['--seal', 'transit'] }),
    /the seal "transit" needs settings in the environment: KEYWARD_SEAL_TRANSIT_ADDR/,
  )
})

test('VAULT-4: a real OpenBao server is sealed and opened by a transit key of Keyward', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken, 'json')
  await succeeds(bao('secrets', 'enable', 'transit'))
  await succeeds(bao('write', '-f', 'transit/keys/theirs'))
  const made = JSON.parse(await succeeds(bao('token', 'create', '-policy=root', '-period=1h')))
  const address = await openBaoSealedBy(t, path, {
    address: url,
    token: String(made.auth.client_token),
    keyName: 'theirs',
  })
  const theirs = runner(t, path, address, undefined, 'json')
  await succeeds(theirs('operator', 'init', '-recovery-shares=1', '-recovery-threshold=1'))
  const status = JSON.parse(await succeeds(theirs('status')))
  assert.deepEqual([status.type, status.sealed, status.recovery_seal], ['transit', false, true])
})
