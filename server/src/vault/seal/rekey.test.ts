import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createMessage, decrypt, generateKey, readMessage } from 'openpgp'
import { postgresBinaries, startPostgres } from '../../../test/support/postgres.ts'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'
import { Secret, systemPrincipal } from '../../core/index.ts'

const by = systemPrincipal('test')

async function shamirVault(
  t: TestContext,
  shares = 3,
  threshold = 2,
  options: { databaseUrl?: string } = {},
) {
  const world = await openUnsealedVault(t, { ...options, seal: { seal: 'shamir', shares, threshold } })
  await world.store.write((tx) => world.vault.kv.write(tx, 'secret/a', { value: new Secret('kept') }))
  return { ...world, anybody: callerOf(world.vault), root: callerOf(world.vault, world.rootToken) }
}
type Caller = ReturnType<typeof callerOf>

/** Gives shares until the procedure says that it is complete. */
async function give(call: Caller, path: string, nonce: unknown, shares: readonly string[]) {
  let last = { status: 0, body: {} as Record<string, unknown> }
  for (const key of shares) last = await call('PUT', path, { key, nonce })
  return last
}

async function opensWith(
  world: Awaited<ReturnType<typeof shamirVault>>,
  shares: readonly string[],
): Promise<boolean> {
  const { vault } = world
  await vault.seal(by)
  try {
    for (const share of shares) await vault.unseal(new Secret(share))
  } catch {
    return false
  }
  return !vault.status().sealed && (await vault.kv.read('secret/a'))?.data['value']?.reveal() === 'kept'
}

test('VAULT-1: a rekey gives new shares, which alone open the vault from then on', async (t) => {
  const world = await shamirVault(t)
  const { anybody, shares, audit } = world
  assert.deepEqual((await anybody('GET', 'sys/rekey/init')).body, {
    nonce: '',
    started: false,
    t: 0,
    n: 0,
    progress: 0,
    required: 2,
    pgp_fingerprints: null,
    backup: false,
    verification_required: false,
  })
  const begun = await anybody('PUT', 'sys/rekey/init', { secret_shares: 5, secret_threshold: 3 })
  const { nonce } = begun.body
  assert.deepEqual([begun.body['started'], begun.body['n'], begun.body['t']], [true, 5, 3])
  const first = await anybody('PUT', 'sys/rekey/update', { key: shares[0], nonce })
  assert.equal(first.body['progress'], 1)
  const done = await anybody('PUT', 'sys/rekey/update', { key: shares[1], nonce })
  const fresh = done.body['keys'] as string[]
  assert.deepEqual(
    [done.body['complete'], fresh.length, (done.body['keys_base64'] as string[]).length],
    [true, 5, 5],
  )
  assert.equal((await anybody('GET', 'sys/rekey/init')).body['started'], false)
  assert.deepEqual((await anybody('GET', 'sys/seal-status')).body['n'], 5)
  assert.equal(await opensWith(world, shares), false, 'shares of before')
  assert.equal(
    await opensWith(world, [shares[0] ?? '', fresh[0] ?? '', fresh[1] ?? '']),
    false,
    'mixed shares',
  )
  assert.equal(await opensWith(world, fresh.slice(2)), true)
  const { items } = await audit.page({ limit: 50, order: 'desc', type: 'vault.rekeyed' })
  assert.deepEqual(
    items.map(({ detail }) => detail),
    [{ keys: 'root', nonce, shares: 5, threshold: 3 }],
  )
})

test('VAULT-1: shares for a rekey are refused in words, and wrong ones end the attempt but not the rekey', async (t) => {
  const { anybody, shares } = await shamirVault(t)
  const foreign = await openUnsealedVault(t, { seal: { seal: 'shamir', shares: 3, threshold: 2 } })
  const wordsOf = async (body: unknown): Promise<string> => {
    const { status, body: answer } = await anybody('PUT', 'sys/rekey/update', body)
    return `${status} ${String((answer['errors'] as string[])[0])}`
  }
  assert.match(await wordsOf({ key: shares[0], nonce: 'x' }), /^400 no barrier rekey in progress/)
  const { nonce } = (await anybody('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })).body
  assert.match(await wordsOf({ nonce }), /^400 'key' must be specified/)
  assert.match(await wordsOf({ key: '?', nonce }), /^400 'key' must be a valid hex or base64 string/)
  assert.match(
    await wordsOf({ key: shares[0], nonce: 'x' }),
    /^400 incorrect nonce supplied; nonce for this rekey/,
  )
  assert.match(await wordsOf({ key: 'abcd', nonce }), /^400 the key has 2 bytes/)
  await anybody('PUT', 'sys/rekey/update', { key: shares[0], nonce })
  assert.match(await wordsOf({ key: shares[0], nonce }), /^400 given key has already been provided/)
  assert.match(await wordsOf({ key: foreign.shares[1], nonce }), /^400 rekey failed/)
  assert.equal((await anybody('GET', 'sys/rekey/init')).body['progress'], 0)
  const done = await give(anybody, 'sys/rekey/update', nonce, shares.slice(1))
  assert.equal(done.body['complete'], true)
})

test('VAULT-1: a rekey that cannot be is refused when it begins', async (t) => {
  const { anybody } = await shamirVault(t)
  for (const body of [
    {},
    { secret_shares: 3, secret_threshold: 1 },
    { secret_shares: 2, secret_threshold: 3 },
    { secret_shares: 1, secret_threshold: 1, backup: true },
    { secret_shares: 2, secret_threshold: 2, pgp_keys: ['AAAA'] },
    { secret_shares: 1, secret_threshold: 1, pgp_keys: ['AAAA'] },
    { secret_shares: 1, secret_threshold: 1, pgp_keys: ['A'.repeat(70_000)] },
  ])
    assert.equal((await anybody('PUT', 'sys/rekey/init', body)).status, 400, JSON.stringify(body))
  const whole = { secret_shares: 1, secret_threshold: 1 }
  assert.equal((await anybody('PUT', 'sys/rekey/init', whole)).status, 200)
  const second = await anybody('PUT', 'sys/rekey/init', whole)
  assert.deepEqual([second.status, second.body['errors']], [400, ['rekey already in progress']])
  const recovery = await anybody('PUT', 'sys/rekey-recovery-key/init', whole)
  assert.deepEqual(recovery.body['errors'], ['recovery rekeying not supported'])
})

test('VAULT-1: in its first ten minutes a rekey is cancelled by its nonce, or by a token that may', async (t) => {
  const { anybody, root, clock, vault } = await shamirVault(t)
  const begin = async () =>
    (await anybody('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })).body['nonce']
  const started = async () => (await anybody('GET', 'sys/rekey/init')).body['started']
  const nonce = await begin()
  assert.equal((await anybody('DELETE', 'sys/rekey/init')).status, 400)
  assert.equal((await anybody('DELETE', 'sys/rekey/init', { nonce: 'x' })).status, 400)
  assert.equal(await started(), true)
  assert.equal((await anybody('DELETE', 'sys/rekey/init', { nonce })).status, 204)
  assert.equal(await started(), false)
  await begin()
  const limited = await root('PUT', 'auth/token/create', { num_uses: 5, policies: ['root'] })
  const { client_token } = limited.body['auth'] as { client_token: string }
  assert.equal((await callerOf(vault, client_token)('DELETE', 'sys/rekey/init')).status, 400)
  assert.equal((await root('DELETE', 'sys/rekey/init')).status, 204)
  await begin()
  clock.advance(600_000)
  assert.equal((await anybody('DELETE', 'sys/rekey/init')).status, 204)
  assert.equal(await started(), false)
})

test('VAULT-1: with verification the present shares are valid until the new ones are shown', async (t) => {
  const world = await shamirVault(t)
  const { anybody, shares } = world
  const { nonce } = (
    await anybody('PUT', 'sys/rekey/init', {
      secret_shares: 2,
      secret_threshold: 2,
      require_verification: true,
    })
  ).body
  assert.equal((await anybody('PUT', 'sys/rekey/verify', { key: shares[0], nonce })).status, 400)
  const { body } = await give(anybody, 'sys/rekey/update', nonce, shares.slice(0, 2))
  const fresh = body['keys'] as string[]
  assert.equal(body['verification_required'], true)
  assert.match(
    String((await anybody('PUT', 'sys/rekey/update', { key: shares[0], nonce })).body['errors']),
    /verification must be performed/,
  )
  assert.equal(await opensWith(world, shares.slice(1)), true, 'the present shares')
  assert.equal((await anybody('GET', 'sys/rekey/init')).body['started'], false, 'sealing forgot the rekey')

  const again = (
    await anybody('PUT', 'sys/rekey/init', {
      secret_shares: 2,
      secret_threshold: 2,
      require_verification: true,
    })
  ).body['nonce']
  const given = (await give(anybody, 'sys/rekey/update', again, shares.slice(0, 2))).body
  const newest = given['keys'] as string[]
  const wrong = await give(anybody, 'sys/rekey/verify', given['verification_nonce'], fresh)
  assert.deepEqual(
    [wrong.status, wrong.body['errors']],
    [400, ['rekey verification failed; incorrect key shares supplied']],
  )
  const renewed = (await anybody('GET', 'sys/rekey/verify')).body
  assert.notEqual(renewed['nonce'], given['verification_nonce'])
  const restarted = (await anybody('DELETE', 'sys/rekey/verify')).body
  assert.deepEqual([restarted['progress'], restarted['started']], [0, true])
  const done = await give(anybody, 'sys/rekey/verify', restarted['nonce'], newest)
  assert.deepEqual(done.body, { complete: true, nonce: restarted['nonce'] })
  assert.equal(await opensWith(world, newest), true)
})

test('VAULT-1: shares can leave for the owners of PGP keys alone, with a backup that a token reads', async (t) => {
  const { anybody, root, shares, vault } = await shamirVault(t, 1, 1)
  const owners = await Promise.all(
    ['ada', 'bob'].map((name) => generateKey({ userIDs: [{ name }], format: 'object' })),
  )
  const pgp_keys = owners.map(({ publicKey }) => Buffer.from(publicKey.write()).toString('base64'))
  const { nonce, pgp_fingerprints } = (
    await anybody('PUT', 'sys/rekey/init', { secret_shares: 2, secret_threshold: 2, pgp_keys, backup: true })
  ).body
  assert.deepEqual(
    pgp_fingerprints,
    owners.map(({ publicKey }) => publicKey.getFingerprint()),
  )
  const { body } = await give(anybody, 'sys/rekey/update', nonce, shares)
  const closed = body['keys'] as string[]
  const backup = (await root('GET', 'sys/rekey/backup')).body
  assert.deepEqual(Object.values((backup['data'] as { keys: Record<string, string[]> }).keys).flat(), closed)
  assert.equal((await anybody('GET', 'sys/rekey/backup')).status, 403)
  await vault.seal(by)
  for (const [i, { privateKey }] of owners.entries()) {
    const message = await readMessage({ binaryMessage: Buffer.from(closed[i] ?? '', 'hex') })
    const { data } = await decrypt({ message, decryptionKeys: privateKey })
    await vault.unseal(new Secret(String(data)))
  }
  assert.equal(vault.status().sealed, false)
  assert.equal((await root('DELETE', 'sys/rekey/backup')).status, 204)
  assert.deepEqual((await root('GET', 'sys/rekey/backup')).body['errors'], ['no backed-up keys found'])
})

test('VAULT-1: a rekey whose end cannot be stored changes nothing', async (t) => {
  const world = await shamirVault(t)
  const { anybody, shares, store } = world
  const { nonce } = (await anybody('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })).body
  const { write } = store
  store.write = (work) =>
    write(async (tx) => {
      await work(tx)
      throw new Error('disk gone')
    })
  await anybody('PUT', 'sys/rekey/update', { key: shares[0], nonce })
  const failed = await anybody('PUT', 'sys/rekey/update', { key: shares[1], nonce })
  assert.deepEqual([failed.status >= 500, failed.body['keys']], [true, undefined])
  store.write = write
  await store.write((tx) => world.vault.kv.write(tx, 'secret/b', { value: new Secret('after') }))
  assert.equal((await world.root('PUT', 'sys/rotate')).status, 204)
  assert.equal(await opensWith(world, shares.slice(1)), true)
})

test('VAULT-1: new shares are answered even when nothing more can be recorded after they became valid', async (t) => {
  const world = await shamirVault(t, 1, 1)
  const { anybody, shares, audit } = world
  const { nonce } = (await anybody('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })).body
  audit.recordNow = () => Promise.reject(new Error('disk gone'))
  const done = await anybody('PUT', 'sys/rekey/update', { key: shares[0], nonce })
  assert.deepEqual([done.status, done.body['complete']], [200, true])
})

async function rekeyUnderLoad(t: TestContext, options: { databaseUrl?: string } = {}): Promise<void> {
  const world = await shamirVault(t, 1, 1, options)
  const { anybody, root, store, vault } = world
  let keys = world.shares
  for (let round = 0; round < 3; round++) {
    const { nonce } = (await anybody('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })).body
    const [rekeyed] = await Promise.all([
      anybody('PUT', 'sys/rekey/update', { key: keys[0], nonce }),
      ...Array.from({ length: 20 }, (_, i) =>
        i % 5 === 0
          ? root('PUT', 'sys/rotate')
          : store.write((tx) => vault.kv.write(tx, `secret/r/${round}-${i}`, { value: new Secret('v') })),
      ),
    ])
    keys = rekeyed?.body['keys'] as string[]
  }
  assert.equal(await opensWith(world, keys), true)
  for (let i = 1; i < 20; i += 5)
    assert.equal((await vault.kv.read(`secret/r/1-${i}`))?.data['value']?.reveal(), 'v')
}

test('VAULT-1: writes and rotations that share a commit with a rekey keep their keys', (t) =>
  rekeyUnderLoad(t))

test('VAULT-1: the same holds on PostgreSQL', async (t) => {
  if (!postgresBinaries()) return t.skip('PostgreSQL is not installed')
  await rekeyUnderLoad(t, { databaseUrl: (await startPostgres(t)).url })
})

test('VAULT-1: the same is done with a token at sys/rotate/root, and without one it is refused', async (t) => {
  const world = await shamirVault(t)
  const { anybody, root, shares } = world
  assert.equal(
    (await anybody('PUT', 'sys/rotate/root/init', { secret_shares: 1, secret_threshold: 1 })).status,
    403,
  )
  const begun = await root('PUT', 'sys/rotate/root/init', { secret_shares: 1, secret_threshold: 1 })
  const { nonce } = begun.body['data'] as { nonce: string }
  const done = await give(root, 'sys/rotate/root/update', nonce, shares.slice(0, 2))
  const { keys } = done.body['data'] as { keys: string[] }
  assert.equal(await opensWith(world, keys), true)
  assert.equal((await root('PUT', 'sys/rotate/root')).status, 400, 'shares close the root key')
})

test('VAULT-1: while the vault is sealed or not made, nobody rekeys it', async (t) => {
  const { vault, anybody } = await shamirVault(t)
  await vault.seal(by)
  for (const path of ['sys/rekey/init', 'sys/generate-root/attempt']) {
    const { status, body } = await anybody('GET', path)
    assert.deepEqual([status, body['errors']], [503, ['Vault is sealed']], path)
  }
})

test('VAULT-1: a message for another owner does not open a share', async () => {
  const { publicKey } = await generateKey({ userIDs: [{ name: 'ada' }], format: 'object' })
  const { readRecipients } = await import('./pgp.ts')
  const [ada] = await readRecipients([Buffer.from(publicKey.write()).toString('base64')])
  const message = await readMessage({ binaryMessage: (await ada?.encrypt('share')) ?? Buffer.alloc(0) })
  const other = await generateKey({ userIDs: [{ name: 'eve' }], format: 'object' })
  await assert.rejects(decrypt({ message, decryptionKeys: other.privateKey }))
  await assert.rejects(readRecipients([(await createMessage({ text: 'x' })).armor()]), {
    code: 'request.invalid',
  })
})
