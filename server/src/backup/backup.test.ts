import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDatabase, postgresBinaries, startPostgres } from '../../test/support/postgres.ts'
import { openWorld, temporaryFolder, type World } from '../../test/support/world.ts'
import { auditMigrations } from '../audit/index.ts'
import { busMigrations } from '../bus/index.ts'
import { AppError, type Principal, type Secret, silentLog } from '../core/index.ts'
import { type Migration, openDataFolder, openStore, type SqlValue } from '../store/index.ts'
import {
  assertNotHalfRestored,
  type Backups,
  backupMigrations,
  createBackups,
  newBackupKey,
  restoreBackup,
  verifyBackup,
} from './index.ts'

const owner: Principal = { kind: 'person', id: 'p1', name: 'Ada', roles: ['owner'] }
const thingsMigration: Migration = {
  id: '0001-things',
  up: ({ bytes, int8 }) => [
    'create table shelves (name text primary key)',
    `create table things (id ${int8} primary key, shelf text references shelves (name), body ${bytes}, note text)`,
  ],
}
const migrations = [thingsMigration, ...auditMigrations, ...busMigrations, ...backupMigrations]

type Setup = World & { backups: Backups; identities: Secret; recipient: string; close(): Promise<void> }

async function setup(t: TestContext, databaseUrl?: string): Promise<Setup> {
  const world = await openWorld(t, [thingsMigration, ...backupMigrations], databaseUrl ? { databaseUrl } : {})
  const { identity, recipient } = await newBackupKey()
  const backups = createBackups({ ...world, log: silentLog, version: '1.2.3', isSealed: () => true })
  return { ...world, backups, identities: identity, recipient }
}

const settings = { folder: null, everySeconds: null, keep: 2, unsealKey: true }

async function fill({ store }: Pick<World, 'store'>, count: number): Promise<void> {
  await store.write(async (tx) => {
    await tx.run({ text: `insert into shelves (name) values ('a')`, values: [] })
    for (let i = 0; i < count; i++)
      await tx.run({
        text: 'insert into things (id, shelf, body, note) values (?, ?, ?, ?)',
        values: [
          1_790_000_000_000 + i,
          'a',
          Buffer.from([i % 256, 0, 255]),
          i % 2 === 0 ? null : `ü "${i}"\n`,
        ],
      })
  })
}

const things = (world: Pick<World, 'store'>): Promise<Record<string, SqlValue>[]> =>
  world.store.all({ text: 'select id, shelf, body, note from things order by id', values: [] })

const plain = (rows: Record<string, SqlValue>[]): unknown[] =>
  rows.map((row) => ({ ...row, body: Buffer.from(row['body'] as Uint8Array).toString('hex') }))

/** A data folder to restore into. */
function target(t: TestContext, world: Pick<World, 'clock'>, databaseUrl?: string) {
  const dataDir = temporaryFolder(t)
  const place = { dataDir, databaseUrl }
  const elsewhere = databaseUrl !== undefined
  return {
    dataDir,
    openStore: () => openStore(place),
    elsewhere,
    migrations,
    clock: world.clock,
    replace: false,
  }
}

const refusedWith = (code: string) => (error: unknown) => error instanceof AppError && error.code === code

async function made(world: Setup): Promise<string> {
  await world.backups.configure(owner, { ...settings, recipients: [world.recipient] })
  const { folder, name } = await world.backups.create(owner)
  return join(folder, name)
}

const databases: readonly (readonly [string, (t: TestContext) => Promise<string | undefined>])[] = [
  ['SQLite', async () => undefined],
  ['PostgreSQL', async (t) => createDatabase(await startPostgres(t))],
]

for (const [from, openFrom] of databases)
  for (const [to, openTo] of databases)
    test(`VAULT-7: what ${from} held is restored into ${to}`, async (t) => {
      const needsPostgres = from === 'PostgreSQL' || to === 'PostgreSQL'
      if (needsPostgres && !postgresBinaries()) return t.skip('PostgreSQL is not installed')
      const world = await setup(t, await openFrom(t))
      await fill(world, 450)
      writeFileSync(join(world.dataDir, 'unseal.key'), 'k'.repeat(32), { mode: 0o600 })
      const file = await made(world)
      assert.equal(statSync(file).mode & 0o777, 0o600)
      const source = { file, identities: world.identities }
      const checked = await verifyBackup(source)
      assert.equal(checked.tables['things']?.rows, 450)
      assert.equal(checked.audit.entries, 2)
      assert.equal(checked.hasUnsealKey, true)

      const databaseUrl = await openTo(t)
      const place = target(t, world, databaseUrl)
      await restoreBackup(source, place)
      assert.equal(readFileSync(join(place.dataDir, 'unseal.key'), 'utf8'), 'k'.repeat(32))
      const restored = await openWorld(t, [thingsMigration, ...backupMigrations], {
        dataDir: place.dataDir,
        ...(databaseUrl ? { databaseUrl } : {}),
      })
      assert.deepEqual(plain(await things(restored)), plain(await things(world)))
      await restored.audit.anchor()
      const { items } = await restored.audit.page({ limit: 10, order: 'desc' })
      assert.deepEqual(
        items.map(({ seq, type }) => [seq, type]),
        [
          [3, 'backup.restored'],
          [2, 'backup.started'],
          [1, 'backup.configured'],
        ],
      )
      await restored.close()
      await assert.rejects(restoreBackup(source, place), refusedWith('backup.target_used'))
    })

test('VAULT-7: a backup shows one moment while others write', async (t) => {
  const world = await setup(t)
  await fill(world, 500)
  const seen = await world.store.copy(async (tables) => {
    await world.store.write((tx) => tx.run({ text: 'delete from things', values: [] }))
    let rows = 0
    const found = tables.find(({ name }) => name === 'things')
    for await (const chunk of found?.rows() ?? []) rows += chunk.length
    return rows
  })
  assert.equal(seen, 500)
  assert.equal((await things(world)).length, 0)
})

test('VAULT-7: a backup that is cut off, altered or for somebody else is refused', async (t) => {
  const world = await setup(t)
  await fill(world, 300)
  const file = await made(world)
  const { identity: stranger } = await newBackupKey()
  await assert.rejects(verifyBackup({ file, identities: stranger }), refusedWith('backup.invalid'))
  const bytes = readFileSync(file)
  assert.equal(bytes.includes('things'), false, 'names cannot be read in it')
  const altered = Buffer.from(bytes)
  altered[bytes.length - 40] = (altered[bytes.length - 40] ?? 0) ^ 1
  for (const [what, content] of [
    ['altered', altered],
    ['longer', Buffer.concat([bytes, Buffer.from('x')])],
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('no backup')],
  ] as const) {
    const path = join(world.dataDir, what)
    writeFileSync(path, content)
    const place = target(t, world)
    await assert.rejects(
      restoreBackup({ file: path, identities: world.identities }, place),
      refusedWith('backup.invalid'),
      what,
    )
    assert.deepEqual(readdirSync(place.dataDir), [], `${what}: nothing is made`)
  }
  truncateSync(file, bytes.length - 1)
  await assert.rejects(verifyBackup({ file, identities: world.identities }), refusedWith('backup.invalid'))
})

test('VAULT-7: a backup whose audit log was changed does not verify', async (t) => {
  const world = await setup(t)
  await world.audit.recordNow({
    type: 'secret.read',
    outcome: 'done',
    actor: 'person:p1',
    target: 'secret:a',
  })
  await world.store.write((tx) =>
    tx.run({ text: `update audit_entries set target = 'secret:b' where seq = 1`, values: [] }),
  )
  const file = await made(world)
  await assert.rejects(verifyBackup({ file, identities: world.identities }), refusedWith('backup.invalid'))
})

test('VAULT-7: only an empty place is restored into, and a foreign key file stays', async (t) => {
  const world = await setup(t)
  await fill(world, 3)
  writeFileSync(join(world.dataDir, 'unseal.key'), 'a'.repeat(32))
  const source = { file: await made(world), identities: world.identities }
  const place = target(t, world)
  writeFileSync(join(place.dataDir, 'unseal.key'), 'b'.repeat(32))
  await assert.rejects(restoreBackup(source, place), refusedWith('backup.target_used'))
  assert.equal(readFileSync(join(place.dataDir, 'unseal.key'), 'utf8'), 'b'.repeat(32))
  await restoreBackup(source, { ...place, replace: true })
  const aside = readdirSync(place.dataDir).find((name) => name.startsWith('replaced-')) ?? ''
  assert.equal(readFileSync(join(place.dataDir, aside, 'unseal.key'), 'utf8'), 'b'.repeat(32))
  assert.equal(readFileSync(join(place.dataDir, 'unseal.key'), 'utf8'), 'a'.repeat(32))
})

test('VAULT-7: after a restore that did not end the server does not start, and a repetition mends it', async (t) => {
  const world = await setup(t)
  await fill(world, 3)
  const source = { file: await made(world), identities: world.identities }
  const place = target(t, world)
  const broken = async () => {
    const store = await place.openStore()
    return { ...store, write: async () => Promise.reject(new Error('killed here')) }
  }
  await assert.rejects(restoreBackup(source, { ...place, openStore: broken }))
  assert.throws(() => assertNotHalfRestored(place.dataDir), refusedWith('store.restoring'))
  await restoreBackup(source, place)
  assertNotHalfRestored(place.dataDir)
  const folder = openDataFolder(place.dataDir)
  folder.release()
})

test('VAULT-7: a backup from a newer version is refused', async (t) => {
  const world = await setup(t)
  const source = { file: await made(world), identities: world.identities }
  const place = { ...target(t, world), migrations: auditMigrations }
  await assert.rejects(restoreBackup(source, place), refusedWith('store.newer'))
})

test('VAULT-7: backups are made when they are due, as many are kept as was said, and old parts go', async (t) => {
  const world = await setup(t)
  const { backups, clock, dataDir, recipient } = world
  await assert.rejects(backups.create(owner), refusedWith('backup.unconfigured'))
  assert.equal((await backups.status()).state, 'unconfigured')
  await backups.configure(owner, { ...settings, everySeconds: 3600, recipients: [recipient] })
  const folder = join(dataDir, 'backups')
  writeFileSync(join(folder, 'keyward-x.backup.age.part'), '')
  const stop = await backups.run()
  t.after(stop)
  assert.deepEqual(readdirSync(folder), [])
  const waitFor = async (count: number): Promise<void> => {
    while ((await backups.status()).items.length < count) {
      clock.advance(30_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await waitFor(1)
  await waitFor(2)
  const [second, first] = (await backups.status()).items
  assert.ok(Date.parse(second?.startedAt ?? '') - Date.parse(first?.startedAt ?? '') >= 3_600_000)
  const before = new Set(readdirSync(folder))
  clock.advance(1000)
  const { name } = await whenFree(() => backups.create(owner))
  assert.deepEqual(readdirSync(folder).sort(), [second?.name, name].sort())
  assert.equal(before.has(name), false)
  const { items } = await world.audit.page({ limit: 1, order: 'desc', type: 'backup.removed' })
  assert.equal(items[0]?.target, `backup:${first?.name}`)
})

test('VAULT-7: a backup that a killed server had finished and not recorded is taken in at the next start', async (t) => {
  const world = await setup(t)
  const file = await made(world)
  const [row] = (await world.backups.status()).items
  await world.store.write((tx) => tx.run({ text: 'delete from backups', values: [] }))
  writeFileSync(join(world.dataDir, 'backups', 'keyward-of-another-kind.backup.age'), '')
  t.after(await world.backups.run())
  const { items } = await world.backups.status()
  assert.deepEqual(
    items.map(({ name, bytes, sha256, startedAt }) => [name, bytes, sha256, startedAt]),
    [[row?.name, row?.bytes, row?.sha256, row?.startedAt]],
  )
  assert.ok(file.endsWith(items[0]?.name ?? 'none'))
})

test('VAULT-7: a backup that shall hold the key file fails when that cannot be read, and holds none where there is none', async (t) => {
  const world = await setup(t)
  assert.equal(
    (await verifyBackup({ file: await made(world), identities: world.identities })).hasUnsealKey,
    false,
  )
  mkdirSync(join(world.dataDir, 'unseal.key'))
  await assert.rejects(world.backups.create(owner))
})

test('VAULT-7: a backup that fails is recorded, shows, and leaves no file', async (t) => {
  const world = await setup(t)
  const { backups, recipient, dataDir } = world
  await assert.rejects(
    backups.configure(owner, { ...settings, recipients: ['age1nothing'] }),
    refusedWith('request.invalid'),
  )
  await assert.rejects(
    backups.configure(owner, { ...settings, folder: 'relative', recipients: [recipient] }),
    refusedWith('request.invalid'),
  )
  await backups.configure(owner, { ...settings, recipients: [recipient] })
  const failing = createBackups({
    ...world,
    store: { ...world.store, copy: async () => Promise.reject(new Error('the disk is gone')) },
    log: silentLog,
    version: '1.2.3',
    isSealed: () => true,
  })
  await assert.rejects(failing.create(owner))
  assert.equal((await backups.status()).state, 'failing')
  assert.deepEqual(readdirSync(join(dataDir, 'backups')), [])
  const { items } = await world.audit.page({ limit: 1, order: 'desc' })
  assert.deepEqual([items[0]?.type, items[0]?.outcome], ['backup.finished', 'failed'])
})

/** A backup by schedule may still be removing old ones. */
async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!refusedWith('request.conflict')(error)) throw error
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
