// What operators do with HashiCorp's and OpenBao's own command: init, unseal, rekey, rotate, generate-root, status.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { type Run, runner, succeeds } from './support/bao-runner.ts'
import { openVault, serveVault } from './support/vault-server.ts'

type Vault = { bao: Run; as: (token: string) => Run; url: string }

/** A vault that nobody has initialised, and the command that talks to it. */
async function served(t: TestContext): Promise<Vault | undefined> {
  const path = await baoOrSkip(t)
  if (path === undefined) return undefined
  const { vault } = await openVault(t)
  const { url } = await serveVault(t, vault)
  const as = (token?: string): Run => runner(t, path, url, token, 'json')
  return { bao: as(), as, url }
}

const answerOf = async (running: ReturnType<Run>): Promise<Record<string, unknown>> =>
  JSON.parse(await succeeds(running)) as Record<string, unknown>

async function initialised(world: Vault, shares = 3, threshold = 2) {
  const made = await answerOf(
    world.bao('operator', 'init', `-key-shares=${shares}`, `-key-threshold=${threshold}`),
  )
  const keys = made['unseal_keys_hex'] as string[]
  for (const key of keys.slice(0, threshold)) await succeeds(world.bao('operator', 'unseal', key))
  return { keys, root: world.as(String(made['root_token'])) }
}

test('VAULT-1: bao operator init, unseal, seal and status', async (t) => {
  const world = await served(t)
  if (!world) return
  const { bao } = world
  assert.equal((await bao('status')).code, 2, 'not initialised')
  const { keys, root } = await initialised(world)
  assert.equal(keys.length, 3)
  assert.equal((await answerOf(bao('status')))['sealed'], false)
  await succeeds(root('operator', 'seal'))
  assert.equal((await bao('status')).code, 2, 'sealed')
  assert.equal((await answerOf(bao('operator', 'unseal', keys[2] ?? '')))['progress'], 1)
  assert.equal((await answerOf(bao('operator', 'unseal', '-reset')))['progress'], 0)
  assert.notEqual((await bao('operator', 'unseal', '-migrate', keys[0] ?? '')).code, 0)
})

test('VAULT-1: bao operator rekey, with and without verification', async (t) => {
  const world = await served(t)
  if (!world) return
  const { bao } = world
  const { keys, root } = await initialised(world)
  const begun = await answerOf(bao('operator', 'rekey', '-init', '-key-shares=2', '-key-threshold=2'))
  const nonce = `-nonce=${String(begun['nonce'])}`
  assert.equal((await answerOf(bao('operator', 'rekey', nonce, keys[0] ?? '')))['progress'], 1)
  const done = await answerOf(bao('operator', 'rekey', nonce, keys[1] ?? ''))
  const fresh = (done['keys'] ?? done['unseal_keys_b64']) as string[]
  assert.equal(fresh.length, 2)
  await answerOf(bao('operator', 'rekey', '-init', '-key-shares=1', '-key-threshold=1', '-verify'))
  await succeeds(root('operator', 'rekey', '-cancel'))
  assert.equal((await answerOf(bao('operator', 'rekey', '-status')))['started'], false)
  await succeeds(root('operator', 'seal'))
  for (const key of fresh) await succeeds(bao('operator', 'unseal', key))
  assert.equal((await answerOf(bao('status')))['sealed'], false)
})

test('VAULT-1: bao operator rotate-keys does the same with a token', async (t) => {
  const world = await served(t)
  if (!world) return
  const { keys, root } = await initialised(world, 1, 1)
  const begun = await answerOf(
    root('operator', 'rotate-keys', '-init', '-key-shares=1', '-key-threshold=1', '-verify'),
  )
  const nonce = `-nonce=${String(begun['nonce'])}`
  const given = await answerOf(root('operator', 'rotate-keys', nonce, keys[0] ?? ''))
  const [fresh = ''] = given['keys'] as string[]
  const verifying = `-nonce=${String(given['verification_nonce'])}`
  const done = await succeeds(root('operator', 'rotate-keys', '-verify', verifying, fresh))
  assert.match(done, /verification successful/i)
  await succeeds(root('operator', 'seal'))
  await succeeds(world.bao('operator', 'unseal', fresh))
})

test('VAULT-1: bao operator generate-root gives a root token to owners who have no token at all', async (t) => {
  const world = await served(t)
  if (!world) return
  const { bao } = world
  const { keys } = await initialised(world)
  const begun = await answerOf(bao('operator', 'generate-root', '-init'))
  const nonce = `-nonce=${String(begun['nonce'])}`
  await answerOf(bao('operator', 'generate-root', nonce, keys[0] ?? ''))
  const done = await answerOf(bao('operator', 'generate-root', nonce, keys[2] ?? ''))
  const encoded = `-decode=${String(done['encoded_token'] || done['encoded_root_token'])}`
  const decoded = await answerOf(bao('operator', 'generate-root', encoded, `-otp=${String(begun['otp'])}`))
  await succeeds(world.as(String(decoded['token']))('token', 'lookup'))
  await answerOf(bao('operator', 'generate-root', '-init'))
  await succeeds(bao('operator', 'generate-root', '-cancel'))
})

test('VAULT-1: bao operator rotate, key-status, step-down and the rotation configuration', async (t) => {
  const world = await served(t)
  if (!world) return
  const { root } = await initialised(world)
  const before = await answerOf(root('operator', 'key-status'))
  await succeeds(root('operator', 'rotate'))
  const after = await answerOf(root('operator', 'key-status'))
  const term = (answer: Record<string, unknown>): number => Number(answer['term'] ?? answer['Term'])
  assert.equal(term(after), term(before) + 1)
  await succeeds(root('operator', 'step-down'))
  await succeeds(root('write', 'sys/rotate/config', 'max_operations=2000000', 'interval=48h'))
  const { data } = await answerOf(root('read', 'sys/rotate/config'))
  assert.deepEqual(data, { enabled: true, interval: '48h0m0s', max_operations: 2_000_000 })
  for (const bad of ['max_operations=10', 'max_operations=9000000000', 'interval=1h'])
    assert.notEqual((await root('write', 'sys/rotate/config', bad)).code, 0, bad)
})
