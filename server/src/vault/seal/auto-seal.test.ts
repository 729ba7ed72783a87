import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { newCertificate } from '../../../test/support/certificate.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { signatureOf, startKms } from '../../../test/support/kms-server.ts'
import { openSealWorld } from '../../../test/support/sealed-vault.ts'
import { callerOf, openUnsealedVault, serveVault } from '../../../test/support/vault-server.ts'
import { Secret, silentLog, systemPrincipal } from '../../core/index.ts'
import type { Vault } from '../index.ts'
import { sealWrappers } from './seal-settings.ts'

const by = systemPrincipal('test')

/** Another Keyward with a transit key, and the settings that name it. */
async function upstream(t: TestContext) {
  const { vault, rootToken, dataDir, clock } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('PUT', 'sys/mounts/transit', { type: 'transit' })
  await root('PUT', 'transit/keys/unseal')
  await root('PUT', 'sys/policies/acl/unseal', {
    policy: 'path "transit/+/unseal" { capabilities = ["update"] }',
  })
  const made = await root('PUT', 'auth/token/create', { policies: ['unseal'], period: '1h' })
  const token = String((made.body['auth'] as { client_token: string }).client_token)
  const tokenFile = join(dataDir, 'seal.token')
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
  const { url } = await serveVault(t, vault)
  const settings = {
    KEYWARD_SEAL_TRANSIT_ADDR: url,
    KEYWARD_SEAL_TRANSIT_KEY_NAME: 'unseal',
    KEYWARD_SEAL_TRANSIT_TOKEN_FILE: tokenFile,
    KEYWARD_SEAL_TRANSIT_DISABLE_RENEWAL: 'true',
  }
  return { vault, root, settings, clock, tokenFile, token }
}

async function transitWorld(t: TestContext) {
  const other = await upstream(t)
  const world = await openSealWorld(t)
  const wrappers = () => sealWrappers('transit', other.settings, { clock: world.clock, log: silentLog })
  const start = () => world.start({ seal: 'transit', wrappers: wrappers() })
  const put = (vault: Vault) =>
    world.store.write((tx) => vault.kv.write(tx, 'secret/a', { value: new Secret('kept') }))
  return { ...world, other, wrappers, startServer: world.start, start, put }
}

/** Lets what waits for an answer of another server come to its end. */
const until = (holds: () => boolean | Promise<boolean>): Promise<boolean> =>
  eventually(async () => holds(), 'what another server has to answer for')

test('VAULT-1: a vault sealed by the transit key of another vault opens itself at start', async (t) => {
  const { start, put } = await transitWorld(t)
  const vault = await start()
  const anybody = callerOf(vault)
  assert.equal((await anybody('GET', 'sys/seal-status')).body['type'], 'transit')
  const refused = await anybody('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })
  assert.deepEqual(refused.body['errors'], [
    'parameters secret_shares,secret_threshold not applicable to seal type transit',
  ])
  const made = (await anybody('PUT', 'sys/init', { recovery_shares: 3, recovery_threshold: 2 })).body
  assert.deepEqual([made['keys'], (made['recovery_keys'] as string[]).length], [[], 3])
  await put(vault)
  const again = await start()
  assert.equal(again.status().sealed, false)
  assert.equal((await again.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')
  const status = (await callerOf(again)('GET', 'sys/seal-status')).body
  assert.deepEqual(
    [status['recovery_seal'], status['recovery_seal_type'], status['t'], status['n'], status['migration']],
    [true, 'shamir', 2, 3, false],
  )
})

test('VAULT-1: while the other vault is sealed the server waits, says why, and opens itself afterwards', async (t) => {
  const { start, other, clock } = await transitWorld(t)
  await callerOf(await start())('PUT', 'sys/init', {})
  await other.vault.seal(by)
  const vault = await start()
  assert.equal(vault.status().sealed, true)
  assert.match(
    vault.status().problem ?? '',
    /the transit key transit\/unseal at 127\.0\.0\.1:\d+ did not decrypt: .*503/,
  )
  clock.advance(1000)
  await until(() => vault.status().problem !== undefined)
  await other.vault.unsealByItself()
  await until(() => {
    clock.advance(60_000)
    return !vault.status().sealed
  })
  assert.equal(vault.status().problem, undefined)
})

test('VAULT-1: recovery keys open a vault that an operator sealed, make a root token, and are replaced by a rekey', async (t) => {
  const { start } = await transitWorld(t)
  const vault = await start()
  const anybody = callerOf(vault)
  const made = (await anybody('PUT', 'sys/init', { recovery_shares: 2, recovery_threshold: 2 })).body
  const shares = made['recovery_keys'] as string[]
  await vault.seal(by)
  for (const key of [shares[0], randomBytes(33).toString('hex')]) await anybody('PUT', 'sys/unseal', { key })
  assert.equal(vault.status().sealed, true)
  for (const key of shares) await anybody('PUT', 'sys/unseal', { key })
  assert.equal(vault.status().sealed, false)

  const { nonce, otp } = (await anybody('PUT', 'sys/generate-root/attempt')).body
  await anybody('PUT', 'sys/generate-root/update', { key: shares[0], nonce })
  const { encoded_token } = (await anybody('PUT', 'sys/generate-root/update', { key: shares[1], nonce })).body
  const { token } = (await anybody('PUT', 'sys/decode-token', { encoded_token, otp })).body
  assert.equal((await callerOf(vault, String(token))('GET', 'auth/token/lookup-self')).status, 200)

  const rekey = (
    await anybody('PUT', 'sys/rekey-recovery-key/init', { secret_shares: 1, secret_threshold: 1 })
  ).body
  await anybody('PUT', 'sys/rekey-recovery-key/update', { key: shares[0], nonce: rekey['nonce'] })
  const done = (
    await anybody('PUT', 'sys/rekey-recovery-key/update', { key: shares[1], nonce: rekey['nonce'] })
  ).body
  const [fresh] = done['keys'] as string[]
  await vault.seal(by)
  for (const key of [shares[0], fresh]) await anybody('PUT', 'sys/unseal', { key })
  assert.equal(vault.status().sealed, false)
})

test('VAULT-1: the root key of a vault that opens itself is changed by its owners, or by a token', async (t) => {
  const { start, put } = await transitWorld(t)
  const vault = await start()
  const anybody = callerOf(vault)
  const made = (await anybody('PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 })).body
  const [key] = made['recovery_keys'] as string[]
  await put(vault)
  for (const refused of [
    { require_verification: true },
    { pgp_keys: ['AAAA'], secret_shares: 1, secret_threshold: 1 },
  ])
    assert.equal((await anybody('PUT', 'sys/rekey/init', refused)).status, 400)
  const { nonce } = (await anybody('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })).body
  const done = (await anybody('PUT', 'sys/rekey/update', { key, nonce })).body
  assert.deepEqual([done['complete'], done['keys']], [true, []])
  const root = callerOf(vault, String(made['root_token']))
  assert.equal((await root('PUT', 'sys/rotate/root')).status, 204)
  const again = await start()
  assert.equal((await again.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')
})

test('VAULT-1: recovery keys where nobody holds any need a token, never nothing', async (t) => {
  const { start } = await transitWorld(t)
  const vault = await start()
  const made = (await callerOf(vault)('PUT', 'sys/init', {})).body
  assert.equal(made['recovery_keys'], undefined)
  const wanted = { secret_shares: 1, secret_threshold: 1 }
  for (const path of ['sys/rekey-recovery-key/init', 'sys/rekey/init', 'sys/generate-root/attempt'])
    assert.equal((await callerOf(vault)('PUT', path, wanted)).status, 400, path)
  assert.equal((await callerOf(vault)('PUT', 'sys/rotate/recovery/init', wanted)).status, 403)
  const root = callerOf(vault, String(made['root_token']))
  const given = (await root('PUT', 'sys/rotate/recovery/init', wanted)).body['data'] as { keys: string[] }
  assert.equal(given.keys.length, 1)
  await vault.seal(by)
  await callerOf(vault)('PUT', 'sys/unseal', { key: given.keys[0] })
  assert.equal(vault.status().sealed, false)
})

test('VAULT-1: from key shares to transit and back, with the shares of the owners', async (t) => {
  const { startServer, wrappers, put } = await transitWorld(t)
  const first = await startServer({ seal: 'shamir' })
  const made = (await callerOf(first)('PUT', 'sys/init', { secret_shares: 2, secret_threshold: 2 })).body
  const shares = made['keys'] as string[]
  for (const key of shares) await callerOf(first)('PUT', 'sys/unseal', { key })
  await put(first)

  const second = await startServer({ seal: 'transit', wrappers: wrappers() })
  const anybody = callerOf(second)
  assert.deepEqual((await anybody('GET', 'sys/seal-status')).body['migration'], true)
  const plain = await anybody('PUT', 'sys/unseal', { key: shares[0] })
  assert.deepEqual(plain.body['errors'], ['migrate option not provided and seal migration is pending'])
  for (const key of shares)
    assert.equal((await anybody('PUT', 'sys/unseal', { key, migrate: true })).status, 200)
  assert.deepEqual([second.status().sealed, second.status().migration], [false, false])

  const third = await startServer({ seal: 'transit', wrappers: wrappers() })
  assert.equal((await third.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')

  const fourth = await startServer({ seal: 'shamir', wrappers: wrappers() })
  assert.deepEqual([fourth.status().sealed, fourth.status().migration], [true, true])
  for (const key of shares) await callerOf(fourth)('PUT', 'sys/unseal', { key, migrate: true })
  assert.equal(fourth.status().sealed, false)

  const last = await startServer({})
  assert.equal(last.status().sealed, true)
  const none = await callerOf(last)('PUT', 'sys/unseal', { key: shares[0], migrate: true })
  assert.deepEqual(none.body['errors'], ["can't perform a seal migration, no migration seal found"])
  for (const key of shares) await callerOf(last)('PUT', 'sys/unseal', { key })
  assert.equal((await last.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')
})

test('VAULT-1: from the key file to transit it goes by itself, and to key shares not without the key', async (t) => {
  const { startServer, wrappers, put, audit } = await transitWorld(t)
  const first = await startServer({})
  await first.initialise({ seal: 'keyfile' })
  await put(first)
  const shares = await startServer({ seal: 'shamir' })
  assert.equal(shares.status().sealed, true)
  assert.match(shares.status().problem ?? '', /migration is pending/)
  const second = await startServer({ seal: 'transit', wrappers: wrappers() })
  assert.equal((await second.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')
  const { items } = await audit.page({ limit: 5, order: 'desc', type: 'vault.migrated' })
  assert.deepEqual(
    items.map(({ detail }) => detail),
    [{ from: 'keyfile', to: 'transit' }],
  )
  const third = await startServer({ seal: 'transit', wrappers: wrappers() })
  assert.equal(third.status().sealed, false)
})

test('VAULT-1: who has the key file owns the vault: a root token, recovery keys, the way to key shares', async (t) => {
  const { start, dataDir, store } = await openSealWorld(t)
  const first = await start()
  await first.initialise({ seal: 'keyfile' })
  await store.write((tx) => first.kv.write(tx, 'secret/a', { value: new Secret('kept') }))
  const key = readFileSync(join(dataDir, 'unseal.key')).toString('hex')
  const anybody = callerOf(first)
  const { nonce } = (await anybody('PUT', 'sys/generate-root/attempt')).body
  const wrong = await anybody('PUT', 'sys/generate-root/update', {
    key: randomBytes(32).toString('hex'),
    nonce,
  })
  assert.equal(wrong.status, 400)
  assert.equal((await anybody('PUT', 'sys/generate-root/update', { key, nonce })).body['complete'], true)

  const second = await start({ seal: 'shamir' })
  assert.equal(second.status().sealed, true)
  await callerOf(second)('PUT', 'sys/unseal', { key, migrate: true })
  assert.deepEqual([second.status().sealed, second.status().threshold], [false, 1])
  const rekey = (await callerOf(second)('PUT', 'sys/rekey/init', { secret_shares: 2, secret_threshold: 2 }))
    .body
  const made = (await callerOf(second)('PUT', 'sys/rekey/update', { key, nonce: rekey['nonce'] })).body
  const third = await start()
  for (const share of made['keys'] as string[]) await callerOf(third)('PUT', 'sys/unseal', { key: share })
  assert.equal((await third.kv.read('secret/a'))?.data['value']?.reveal(), 'kept')

  unlinkSync(join(dataDir, 'unseal.key'))
  const recovered = await start({ seal: 'keyfile' })
  for (const share of made['keys'] as string[])
    await callerOf(recovered)('PUT', 'sys/unseal', { key: share, migrate: true })
  assert.deepEqual([recovered.status().sealed, recovered.status().threshold], [false, 2])
  assert.notEqual(readFileSync(join(dataDir, 'unseal.key')).toString('hex'), key, 'a new key file')
  const last = await start()
  assert.deepEqual([last.status().sealed, last.status().seal], [false, 'keyfile'])
})

test('VAULT-1: the token of the seal is renewed at half its life, and a failure is told and tried again', async (t) => {
  const other = await upstream(t)
  const { clock } = await openSealWorld(t)
  const settings = { ...other.settings, KEYWARD_SEAL_TRANSIT_DISABLE_RENEWAL: 'no' }
  const warnings: unknown[] = []
  const log = { ...silentLog, warn: (about: unknown) => warnings.push(about) }
  const [wrapper] = sealWrappers('transit', settings, { clock, log: log as typeof silentLog })
  const ttl = async () => {
    const { body } = await other.root('PUT', 'auth/token/lookup', { token: other.token })
    return (body['data'] as { ttl: number }).ttl
  }
  other.clock.advance(1_000_000)
  const stop = wrapper?.keepAlive?.()
  await until(async () => (await ttl()) === 3600)
  other.clock.advance(1_800_000)
  await until(async () => {
    clock.advance(1_800_000)
    return (await ttl()) === 3600
  })
  await other.vault.seal(by)
  await until(() => {
    clock.advance(1_800_000)
    return /cannot be renewed: it answered 503/.test(wrapper?.problem?.() ?? '')
  })
  assert.ok(warnings.length > 0)
  await other.vault.unsealByItself()
  await until(() => {
    clock.advance(30_000)
    return wrapper?.problem?.() === undefined
  })
  stop?.()
})

test('VAULT-1: AWS KMS seals and opens, with signatures that the service verifies', async (t) => {
  const kms = await startKms(t)
  const world = await openSealWorld(t)
  for (const [name, value] of Object.entries(kms.credentials)) {
    const before = process.env[name]
    process.env[name] = value
    t.after(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  const settings = {
    KEYWARD_SEAL_AWSKMS_KEY_ID: kms.keyId,
    AWS_REGION: 'eu-central-1',
    KEYWARD_SEAL_AWSKMS_ENDPOINT: kms.url,
  }
  const start = () =>
    world.start({
      seal: 'awskms',
      wrappers: sealWrappers('awskms', settings, { clock: world.clock, log: silentLog }),
    })
  await callerOf(await start())('PUT', 'sys/init', {})
  assert.equal((await start()).status().sealed, false)
  assert.deepEqual(kms.asked, ['Encrypt', 'Decrypt'])
  process.env['AWS_SECRET_ACCESS_KEY'] = 'another'
  const refused = await start()
  assert.equal(refused.status().sealed, true)
  assert.match(
    refused.status().problem ?? '',
    /AWS KMS did not decrypt with the key alias\/keyward-.*signature/,
  )
  process.env['AWS_SECRET_ACCESS_KEY'] = kms.credentials.AWS_SECRET_ACCESS_KEY
  await until(() => {
    world.clock.advance(60_000)
    return !refused.status().sealed
  })
})

test("VAULT-1: the test's KMS verifies as Amazon's published example signs", () => {
  const signature = signatureOf({
    method: 'GET',
    path: '/',
    headers: { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' },
    body: '',
    time: '20150830T123600Z',
    scope: '20150830/us-east-1/service/aws4_request',
    secretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  })
  assert.equal(signature, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31')
})

test("VAULT-1: settings are taken under HashiCorp's names too, and what is missing or unsafe is refused", async (t) => {
  const world = await openSealWorld(t)
  const needs = { clock: world.clock, log: silentLog }
  const hashiCorp = {
    VAULT_ADDR: 'https://vault.example:8200',
    VAULT_TOKEN: randomBytes(12).toString('hex'),
    VAULT_TRANSIT_SEAL_KEY_NAME: 'autounseal',
    VAULT_AWSKMS_SEAL_KEY_ID: 'alias/x',
    AWS_REGION: 'eu-central-1',
  }
  assert.deepEqual(
    sealWrappers(undefined, hashiCorp, needs).map(({ kind }) => kind),
    ['transit', 'awskms'],
  )
  assert.deepEqual(sealWrappers(undefined, {}, needs), [])
  for (const seal of ['transit', 'awskms'] as const)
    assert.throws(() => sealWrappers(seal, {}, needs), { code: 'request.invalid' })
  assert.throws(() => sealWrappers('transit', { ...hashiCorp, VAULT_SKIP_VERIFY: '1' }, needs), {
    code: 'request.invalid',
  })
})

test('VAULT-1: a root key goes to no vault whose certificate is not of the authority that was named', async (t) => {
  const { dataDir, clock } = await openSealWorld(t)
  const { cert, key, ca } = newCertificate('localhost')
  const asked: string[] = []
  const server = createServer({ cert, key }, (request, response) => {
    asked.push(request.url ?? '')
    request.resume()
    response.end('{"data":{"ciphertext":"vault:v1:x"}}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  const settings = {
    VAULT_ADDR: `https://localhost:${typeof address === 'object' ? address?.port : 0}`,
    VAULT_TOKEN: randomBytes(12).toString('hex'),
    VAULT_TRANSIT_SEAL_KEY_NAME: 'unseal',
    VAULT_TRANSIT_SEAL_MOUNT_PATH: '/seals/',
  }
  const needs = { clock, log: silentLog }
  const [stranger] = sealWrappers('transit', settings, needs)
  await assert.rejects(stranger?.wrap(randomBytes(32)) ?? Promise.resolve(), (error: { detail?: string }) =>
    /cannot be reached: .*certificate/.test(error.detail ?? ''),
  )
  assert.deepEqual(asked, [])
  const authority = join(dataDir, 'authority.pem')
  writeFileSync(authority, ca)
  const [known] = sealWrappers('transit', { ...settings, VAULT_CACERT: authority }, needs)
  assert.equal((await known?.wrap(randomBytes(32)))?.toString(), 'vault:v1:x')
  assert.deepEqual(asked, ['/v1/seals/encrypt/unseal'])
})
