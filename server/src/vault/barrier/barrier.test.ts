import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openUnsealedVault } from '../../../test/support/vault-server.ts'
import { sql } from '../../store/index.ts'
import { decrypt, encrypt } from './cipher.ts'
import { createEntryCache } from './entry-cache.ts'
import { createKeyRing, keyRingFromBytes } from './key-ring.ts'

const now = new Date(0)

test('VAULT-1: a value opens only with its key, its context and its bytes', () => {
  const key = randomBytes(32)
  const sealed = encrypt(key, 3, 'a', Buffer.from('value'))
  assert.equal(decrypt(key, 'a', sealed)?.toString(), 'value')
  assert.equal(decrypt(key, 'b', sealed), undefined)
  assert.equal(decrypt(randomBytes(32), 'a', sealed), undefined)
  for (let i = 0; i < sealed.length; i++) {
    const altered = Buffer.from(sealed)
    altered[i] = (altered[i] ?? 0) ^ 1
    assert.equal(decrypt(key, 'a', altered), undefined, `byte ${i}`)
  }
  assert.equal(decrypt(key, 'a', Buffer.alloc(4)), undefined)
})

test('VAULT-1: no nonce comes twice', () => {
  const key = randomBytes(32)
  const ring = createKeyRing(now)
  const sealed = Array.from({ length: 1000 }, () => [
    encrypt(key, 1, 'a', Buffer.alloc(0)),
    ring.encrypt('a', Buffer.alloc(0)),
  ])
  assert.equal(new Set(sealed.flat().map((bytes) => bytes.toString('hex', 5, 17))).size, 2000)
})

test('VAULT-1: what the barrier knows of folders and of nothing follows what is stored, also when all comes in one commit', async (t) => {
  const { vault, store } = await openUnsealedVault(t)
  const { sealed } = vault
  const put = (path: string) => store.write((tx) => sealed.put(tx, path, Buffer.from(path)))
  const remove = (path: string) => store.write((tx) => sealed.delete(tx, path))
  assert.equal(await sealed.get('f/a'), undefined)
  await put('f/a')
  assert.equal(String(await sealed.get('f/a')), 'f/a')
  await put('f/b')
  await Promise.all([remove('f/a'), remove('f/b'), put('f/c')])
  assert.deepEqual(await sealed.list(''), ['f/'])
  assert.deepEqual(await sealed.list('f/'), ['c'])
  await Promise.all([put('f/d'), remove('f/c'), remove('f/d')])
  assert.deepEqual(await sealed.list(''), [])
  assert.equal(await sealed.get('f/a'), undefined)
  const failed = store.write(async (tx) => {
    await sealed.put(tx, 'g/a', Buffer.from('never'))
    throw new Error('not after all')
  })
  await Promise.all([assert.rejects(failed), put('g/b')])
  assert.deepEqual([await sealed.list(''), await sealed.list('g/')], [['g/'], ['b']])
})

test('VAULT-1: a transaction reads what it has written itself, and what another has that fails stays out of memory', async (t) => {
  const { vault, store } = await openUnsealedVault(t)
  const { sealed } = vault
  const put = (path: string, text: string) => store.write((tx) => sealed.put(tx, path, Buffer.from(text)))
  await put('a', 'one')
  assert.equal(String(await sealed.get('a')), 'one')
  const failing = store.write(async (tx) => {
    await sealed.put(tx, 'a', Buffer.from('two'))
    assert.equal(String(await sealed.get('a', tx)), 'two')
    assert.equal(String(await sealed.get('a')), 'one')
    throw new Error('not after all')
  })
  const next = store.write(async (tx) => String(await sealed.get('a', tx)))
  await assert.rejects(failing, /not after all/)
  assert.deepEqual([await next, String(await sealed.get('a'))], ['one', 'one'])
  const seen = await Promise.all([
    put('a', 'three'),
    store.write(async (tx) => String(await sealed.get('a', tx))),
    store.write((tx) => sealed.delete(tx, 'a')),
    store.write((tx) => sealed.get('a', tx)),
    put('a', 'four'),
    store.write(async (tx) => String(await sealed.get('a', tx))),
  ])
  assert.deepEqual([seen[1], seen[3], seen[5]], ['three', undefined, 'four'])
  assert.equal(String(await sealed.get('a')), 'four')
})

test('VAULT-1: after a rotation new values take the new key and old ones still open', () => {
  const ring = createKeyRing(now)
  const old = ring.encrypt('a', Buffer.from('old'))
  ring.addTerm(now)
  const fresh = ring.encrypt('a', Buffer.from('new'))
  assert.deepEqual([old.readUInt32BE(1), fresh.readUInt32BE(1)], [1, 2])
  const again = keyRingFromBytes(ring.toBytes())
  assert.equal(again.decrypt('a', old)?.toString(), 'old')
  assert.equal(again.decrypt('a', fresh)?.toString(), 'new')
})

test('VAULT-1: a wiped ring holds no key and refuses to work', () => {
  const ring = createKeyRing(now)
  ring.wipe()
  assert.deepEqual(ring.terms, [])
  assert.throws(() => ring.toBytes(), { code: 'vault.sealed' })
  assert.throws(() => ring.encrypt('a', Buffer.from('x')), { code: 'vault.sealed' })
  assert.throws(() => ring.nameOf('entry', 'a'), { code: 'vault.sealed' })
})

test('VAULT-1: the cache is bounded, forgets the least used and is zeroed when cleared', () => {
  const cache = createEntryCache(8 * 1024)
  const entry = (): { bytes: Buffer; parsed: undefined } => ({
    bytes: Buffer.alloc(64, 'x'),
    parsed: undefined,
  })
  const first = entry()
  cache.put('first', first)
  for (let i = 0; i < 15; i++) {
    cache.put(`other-${i}`, entry())
    cache.get('first')
  }
  for (let i = 0; i < 30; i++) {
    cache.put(`more-${i}`, entry())
    cache.get('first')
  }
  assert.equal(cache.get('other-0'), undefined)
  assert.equal(cache.get('first'), first)
  cache.put('huge', { bytes: Buffer.alloc(8 * 1024), parsed: undefined })
  assert.equal(cache.get('huge'), undefined)
  cache.clear()
  assert.deepEqual(first.bytes, Buffer.alloc(64))
})

test('VAULT-1: entries are listed by folder, and empty folders go', async (t) => {
  const { vault, store } = await openUnsealedVault(t)
  const bytes = Buffer.from('x')
  await store.write(async (tx) => {
    for (const path of ['undo/a/1', 'undo/a/2', 'undo/b', 'undo/a/deep/er'])
      await vault.sealed.put(tx, path, bytes)
  })
  assert.deepEqual(await vault.sealed.list('undo/'), ['a/', 'b'])
  assert.deepEqual(await vault.sealed.list('undo/a/'), ['1', '2', 'deep/'])
  await store.write((tx) => vault.sealed.delete(tx, 'undo/a/deep/er'))
  assert.deepEqual(await vault.sealed.list('undo/a/'), ['1', '2'])
  await store.write(async (tx) => {
    for (const path of ['undo/a/1', 'undo/a/2']) await vault.sealed.delete(tx, path)
  })
  assert.deepEqual(await vault.sealed.list('undo/'), ['b'])
  assert.deepEqual(await vault.sealed.get('undo/b'), bytes)
  assert.equal(await vault.sealed.get('undo/a/1'), undefined)
})

test('VAULT-1: a transaction that fails leaves the old value, also in memory', async (t) => {
  const { vault, store } = await openUnsealedVault(t)
  const read = async (): Promise<string | undefined> => (await vault.sealed.get('a'))?.toString()
  await store.write((tx) => vault.sealed.put(tx, 'a', Buffer.from('old')))
  assert.equal(await read(), 'old')
  const failing = store.write(async (tx) => {
    await vault.sealed.put(tx, 'a', Buffer.from('new'))
    assert.equal((await vault.sealed.get('a', tx))?.toString(), 'new')
    throw new Error('on purpose')
  })
  await assert.rejects(failing, /on purpose/)
  assert.equal(await read(), 'old')
  await store.write((tx) => vault.sealed.put(tx, 'a', Buffer.from('new')))
  assert.equal(await read(), 'new')
})

test('VAULT-1: neither paths nor values nor names are readable in the database', async (t) => {
  const { vault, store, dataDir } = await openUnsealedVault(t)
  const marker = `mark${randomBytes(8).toString('hex')}`
  await store.write((tx) => vault.sealed.put(tx, `${marker}/${marker}`, Buffer.from(marker)))
  for (const file of ['keyward.db', 'keyward.db-wal'])
    assert.equal(readFileSync(join(dataDir, file)).includes(marker), false, file)
})

for (const [what, damage] of [
  ['an altered value', sql`update vault_entries set value = x'01' where parent is not null`],
  [
    'a value moved to another path',
    sql`update vault_entries set value = (select value from vault_entries order by id limit 1)`,
  ],
] as const)
  test(`VAULT-1: ${what} is told as damage, not given out`, async (t) => {
    const world = await openUnsealedVault(t)
    const { vault, store } = world
    await store.write((tx) => vault.sealed.put(tx, 'a', Buffer.from('one')))
    await store.write((tx) => vault.sealed.put(tx, 'b', Buffer.from('two')))
    await store.write((tx) => tx.run(damage))
    const results = await Promise.allSettled([vault.sealed.get('a'), vault.sealed.get('b')])
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'value'))
    assert.ok(codes.includes('vault.entry_corrupt'), codes.join())
    if (what === 'an altered value') assert.deepEqual(codes, ['vault.entry_corrupt', 'vault.entry_corrupt'])
  })

test('VAULT-1: a name moved into another folder is told as damage', async (t) => {
  const { vault, store } = await openUnsealedVault(t)
  await store.write(async (tx) => {
    await vault.sealed.put(tx, 'one/x', Buffer.from('1'))
    for (const name of 'abcdefg') await vault.sealed.put(tx, `two/${name}`, Buffer.from('2'))
  })
  await store.write((tx) =>
    tx.run(sql`update vault_entries set parent =
    (select parent from vault_entries where parent is not null group by parent having count(*) = 7)
    where parent is not null`),
  )
  await assert.rejects(vault.sealed.list('two/'), { code: 'vault.entry_corrupt' })
})

test('VAULT-1: a damaged key ring keeps the vault shut', async (t) => {
  const first = await openUnsealedVault(t)
  first.vault.close()
  await first.store.write((tx) => tx.run(sql`update vault_keys set value = x'0102' where id = 'keyring'`))
  await assert.rejects(first.vault.unsealByItself(), { code: 'vault.entry_corrupt' })
  assert.equal(first.vault.status().sealed, true)
})
