// What can be read in the database of a vault by who has its files and not its keys.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { granted, openWithLedger } from './support/ledger.ts'
import { postgresBinaries, startPostgres } from './support/postgres.ts'
import { type Caller, callerOf } from './support/vault-server.ts'
import { temporaryFolder } from './support/world.ts'

/** Long enough that none turns up by chance. */
const marker = (what: string): string => `${what}-${randomBytes(9).toString('hex')}`

type Planted = {
  /** Of paths, mounts, policies, users, roles, keys, entities, groups, leases and fields. */
  readonly names: readonly string[]
  /** Values, passwords, tokens with their accessors, and secret ids. */
  readonly secrets: readonly string[]
}

async function ok(answer: ReturnType<Caller>): Promise<Record<string, unknown>> {
  const { status, body } = await answer
  assert.ok(status < 300, JSON.stringify(body))
  return body
}

const data = (body: Record<string, unknown>): Record<string, string> => body['data'] as Record<string, string>
const auth = (body: Record<string, unknown>): Record<string, string> => body['auth'] as Record<string, string>

async function plant(root: Caller, caller: (token: string) => Caller): Promise<Planted> {
  const mount = marker('mount')
  const [folder, name, field, policy, user, role, key] = [
    'folder',
    'name',
    'field',
    'policy',
    'user',
    'role',
    'key',
  ].map(marker)
  const [value, password, kept] = ['value', 'password', 'kept'].map(marker)
  await ok(root('PUT', `sys/mounts/${mount}`, { type: 'kv-v2', description: marker('about') }))
  await ok(root('PUT', `${mount}/data/${folder}/${name}`, { data: { [field ?? '']: value } }))
  await ok(root('PUT', `${mount}/metadata/${folder}/${name}`, { custom_metadata: { owner: kept } }))
  await ok(
    root('PUT', `sys/policies/acl/${policy}`, { policy: `path "${mount}/*" { capabilities = ["read"] }` }),
  )
  await ok(root('PUT', 'sys/auth/userpass', { type: 'userpass' }))
  await ok(root('PUT', `auth/userpass/users/${user}`, { password, token_policies: [policy] }))
  const login = auth(await ok(caller('')('PUT', `auth/userpass/login/${user}`, { password })))
  await ok(root('PUT', 'sys/auth/approle', { type: 'approle' }))
  await ok(root('PUT', `auth/approle/role/${role}`, { token_policies: [policy] }))
  const roleId = data(await ok(root('GET', `auth/approle/role/${role}/role-id`)))['role_id']
  const secretId = data(await ok(root('PUT', `auth/approle/role/${role}/secret-id`)))
  const app = auth(
    await ok(caller('')('PUT', 'auth/approle/login', { role_id: roleId, secret_id: secretId['secret_id'] })),
  )
  await ok(root('PUT', 'sys/mounts/transit', { type: 'transit' }))
  await ok(root('PUT', `transit/keys/${key}`))
  const child = auth(
    await ok(root('PUT', 'auth/token/create', { policies: [policy], display_name: marker('name') })),
  )
  await ok(caller(String(child['client_token']))('PUT', `cubbyhole/${marker('own')}`, { value: kept }))
  const [entity, group, shop] = ['entity', 'group', 'shop'].map(marker)
  await ok(root('PUT', 'identity/entity', { name: entity, metadata: { owner: kept }, policies: [policy] }))
  await ok(root('PUT', 'identity/group', { name: group, policies: [policy] }))
  const lease = await granted(root, `books/creds/${shop}`)
  const tokens = [login, app, child].flatMap((one) => [one['client_token'], one['accessor']])
  return {
    names: [
      ...[mount, folder, name, field, policy, user, role, key, entity, group, shop],
      secretId['secret_id_accessor'],
      lease.id.split('/').at(-1),
    ].map(String),
    secrets: [value, password, kept, secretId['secret_id'], `made-up-${lease.name}`, ...tokens].map(String),
  }
}

const found = (bytes: Buffer, texts: readonly string[]): string[] =>
  texts.filter((text) =>
    [text, Buffer.from(text).toString('hex'), Buffer.from(text).toString('base64').slice(2, -4)].some(
      (form) => bytes.includes(form),
    ),
  )
/** A digest without a key would let anybody try what a name might be. */
const digests = (texts: readonly string[]): string[] =>
  texts.flatMap((text) =>
    ['sha256', 'sha1', 'md5'].map((name) => createHash(name).update(text).digest('hex')),
  )

const holds = (bytes: Buffer, hex: string): boolean =>
  bytes.includes(Buffer.from(hex, 'hex')) || bytes.includes(hex)

async function plantedVault(t: TestContext, options: { dataDir?: string; databaseUrl?: string }) {
  const world = await openWithLedger(t, options)
  const planted = await plant(callerOf(world.vault, world.rootToken), (token) =>
    callerOf(world.vault, token || undefined),
  )
  return { ...world, names: planted.names, secrets: [...planted.secrets, world.rootToken] }
}

test('VAULT-1: no value, token or secret id is in any file of SQLite, and no name outside the audit log', async (t) => {
  const dataDir = temporaryFolder(t)
  const { names, secrets, close } = await plantedVault(t, { dataDir })
  const files = readdirSync(dataDir).filter((name) => /^keyward\.db/.test(name))
  assert.ok(files.includes('keyward.db-wal'), files.join())
  for (const file of files) {
    const bytes = readFileSync(join(dataDir, file))
    assert.deepEqual(found(bytes, secrets), [], file)
    assert.deepEqual(
      digests([...names, ...secrets]).filter((hex) => holds(bytes, hex)),
      [],
      file,
    )
  }
  await close()
  const copy = join(dataDir, 'copy.db')
  copyFileSync(join(dataDir, 'keyward.db'), copy)
  const database = new DatabaseSync(copy)
  const audited = JSON.stringify(database.prepare('select * from audit_entries').all())
  assert.notDeepEqual(found(Buffer.from(audited), names), [], 'the audit log names what was done to')
  database.exec('drop table audit_entries; vacuum')
  database.close()
  assert.deepEqual(found(readFileSync(copy), names), [])
})

test('VAULT-1: the same holds in PostgreSQL, as a dump shows it', async (t) => {
  const binaries = postgresBinaries()
  if (!binaries) return t.skip('PostgreSQL is not installed')
  const { url } = await startPostgres(t)
  const { names, secrets } = await plantedVault(t, { databaseUrl: url })
  const dump = async (...more: string[]): Promise<Buffer> => {
    const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const
    return (await promisify(execFile)(join(binaries, 'pg_dump'), [...more, url], options)).stdout
  }
  const whole = await dump()
  assert.deepEqual(found(whole, secrets), [])
  assert.deepEqual(
    digests([...names, ...secrets]).filter((hex) => holds(whole, hex)),
    [],
  )
  assert.notDeepEqual(found(whole, names), [])
  const rest = await dump('--exclude-table=audit_entries')
  assert.ok(rest.includes('vault_entries'))
  assert.deepEqual(found(rest, names), [])
})
