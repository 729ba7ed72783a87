import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tx } from '../../store/index.ts'
import { longestBeside } from './kv2-entry.ts'
import { createKv2Store } from './kv2-store.ts'

/** What is stored, by path, as the barrier would have it inside. */
function setup() {
  const stored = new Map<string, Buffer>()
  const store = createKv2Store(
    {
      get: async (path) => stored.get(path),
      async view(path, parse) {
        const bytes = stored.get(path)
        return bytes && parse(bytes)
      },
      peek: () => undefined,
      put: async (_, path, value) => void stored.set(path, Buffer.from(value as Uint8Array)),
      delete: async (_, path) => stored.delete(path),
      list: async () => [],
    },
    'm',
  )
  const tx = {} as Tx
  const text = async (version: number): Promise<string | undefined> => {
    const meta = await store.meta('a')
    return meta && (await store.text('a', meta, version, 1))?.toString()
  }
  const write = async (value: string): Promise<number> => (await store.write(tx, 'a', value, 1)).version
  return { stored, store, tx, text, write, paths: () => [...stored.keys()].sort() }
}

test('VAULT-2: the newest version of a secret is stored with its metadata, those before it by themselves', async () => {
  const { text, write, paths } = setup()
  await write('{"n":1}')
  assert.deepEqual(paths(), ['kv/m/meta/a'])
  await write('{"n":"ü"}')
  assert.deepEqual(paths(), ['kv/m/meta/a', 'kv/m/v/1/a'])
  assert.deepEqual([await text(1), await text(2), await text(3)], ['{"n":1}', '{"n":"ü"}', undefined])
})

test('VAULT-2: a long version is stored by itself, and one that is destroyed nowhere', async () => {
  const { stored, store, tx, text, write, paths } = setup()
  const long = JSON.stringify({ n: 'x'.repeat(longestBeside) })
  await write(long)
  assert.deepEqual([paths(), await text(1)], [['kv/m/meta/a', 'kv/m/v/1/a'], long])
  await write('{"n":"short"}')
  assert.equal(stored.get('kv/m/v/1/a')?.toString(), long)
  const known = await store.meta('a')
  assert.ok(known)
  await store.setMeta(tx, 'a', { ...known, casRequired: true })
  assert.equal(await text(2), '{"n":"short"}')
  await store.destroy(tx, 'a', [2, 1], 1)
  assert.deepEqual([paths(), await text(1), await text(2)], [['kv/m/meta/a'], undefined, undefined])
  assert.ok(!stored.get('kv/m/meta/a')?.includes('short'))
})

test('VAULT-2: only as many versions are kept as are wanted, also when that is one', async () => {
  const { store, tx, text, write, paths } = setup()
  await store.setConfig(tx, { maxVersions: 1, casRequired: false, deleteAfterSeconds: 0 })
  await write('{"n":1}')
  await write('{"n":2}')
  assert.deepEqual(paths(), ['kv/m/config', 'kv/m/meta/a'])
  assert.deepEqual([await text(1), await text(2)], [undefined, '{"n":2}'])
})

test('VAULT-2: what an earlier version of Keyward has stored is read, and goes on', async () => {
  const { stored, text, write, paths } = setup()
  const versions = { 1: { createdAt: 1 } }
  const plain = { createdAt: 1, updatedAt: 1, current: 1, oldest: 0, maxVersions: 0, custom: null }
  stored.set('kv/m/meta/a', Buffer.from(JSON.stringify({ ...plain, deleteAfterSeconds: 0, versions })))
  stored.set('kv/m/v/1/a', Buffer.from('{"n":1}'))
  assert.equal(await text(1), '{"n":1}')
  assert.equal(await write('{"n":2}'), 2)
  assert.deepEqual([await text(1), await text(2)], ['{"n":1}', '{"n":2}'])
  assert.deepEqual(paths(), ['kv/m/meta/a', 'kv/m/v/1/a'])
})
