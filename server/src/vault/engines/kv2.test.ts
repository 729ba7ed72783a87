import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataOf } from '../../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'

type Fields = Record<string, unknown>

async function setup(t: Parameters<typeof openUnsealedVault>[0]) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  const metadata = async (name = 'a') => dataOf(await root('GET', `secret/metadata/${name}`))
  const refused = async (reply: Promise<{ status: number; body: Fields }>, words: RegExp) => {
    const { status, body } = await reply
    assert.equal(status, 400, JSON.stringify(body))
    assert.match(String(body['errors']), words)
  }
  return { ...world, root, metadata, refused }
}

test('VAULT-2: KV 2: metadata is written in part, and patched', async (t) => {
  const { root, metadata, refused } = await setup(t)
  const custom = { owner: 'shop', desk: '4' }
  assert.equal((await root('POST', 'secret/metadata/a', { custom_metadata: custom })).status, 204)
  assert.equal((await root('POST', 'secret/metadata/a', { max_versions: 3 })).status, 204)
  assert.deepEqual((await metadata())['custom_metadata'], custom)
  const patch = (body: Fields) => root('PATCH', 'secret/metadata/a', body)
  assert.equal((await patch({ custom_metadata: { desk: null, floor: 2 }, cas_required: true })).status, 204)
  const patched = await metadata()
  assert.deepEqual(
    [patched['custom_metadata'], patched['max_versions'], patched['cas_required']],
    [{ owner: 'shop', floor: '2' }, 3, true],
  )
  await patch({ max_versions: null, cas_required: null, custom_metadata: null, delete_version_after: '1h' })
  const reset = await metadata()
  assert.deepEqual(
    [reset['custom_metadata'], reset['max_versions'], reset['cas_required'], reset['delete_version_after']],
    [null, 0, false, '1h0m0s'],
  )
  await patch({ delete_version_after: null })
  assert.equal((await metadata())['delete_version_after'], '0s')
  assert.equal((await root('PATCH', 'secret/metadata/none', { max_versions: 1 })).status, 404)
  assert.equal((await patch({})).status, 204)
  await refused(patch({ custom_metadata: 'owner' }), /"custom_metadata": it must be an object/)
  await refused(patch({ custom_metadata: { a: { b: 1 } } }), /must be text/)
})

test('VAULT-2: KV 2: custom metadata has limits', async (t) => {
  const { root, refused, metadata } = await setup(t)
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v']))
  for (const [custom, words] of [
    [many, /custom_metadata validation failed: payload must contain at most 64 keys, provided 65/],
    [{ ['k'.repeat(129)]: 'v' }, /length of key .* is 129 but must be 0 < len\(key\) <= 128/],
    [{ '': 'v' }, /length of key "" is 0/],
    [{ k: 'é'.repeat(257) }, /length of value for key "k" is 514 but must be 0 < len\(value\) <= 512/],
    [{ k: '' }, /length of value for key "k" is 0/],
    [{ 'k\n': 'v' }, /key "k\\n" contains unprintable characters/],
    [{ k: 'v\u0000' }, /value for key "k" contains unprintable characters/],
  ] as const)
    await refused(root('POST', 'secret/metadata/a', { custom_metadata: custom }), words)
  assert.equal((await root('GET', 'secret/metadata/a')).status, 404)
  const { k0: _, ...most } = many
  assert.equal((await root('POST', 'secret/metadata/a', { custom_metadata: most })).status, 204)
  await refused(root('PATCH', 'secret/metadata/a', { custom_metadata: { one: 'more' } }), /at most 64 keys/)
  assert.equal(Object.keys((await metadata())['custom_metadata'] as Fields).length, 64)
})

test('VAULT-2: KV 2: a secret or its mount can demand check-and-set', async (t) => {
  const { root, refused } = await setup(t)
  const write = (options?: Fields) =>
    root('POST', 'secret/data/a', { data: {}, ...(options ? { options } : {}) })
  await root('POST', 'secret/metadata/a', { cas_required: true })
  await refused(write(), /check-and-set parameter required for this call/)
  assert.equal((await write({ cas: 0 })).status, 200)
  await refused(write({ cas: 0 }), /check-and-set parameter did not match the current version/)
  await root('POST', 'secret/metadata/a', { cas_required: false })
  assert.equal((await write()).status, 200)
  await root('POST', 'secret/config', { cas_required: true })
  await refused(write(), /required for this call/)
  const kept = await root('POST', 'secret/metadata/a', { cas_required: false })
  assert.match(String(kept.body['warnings']), /"cas_required" set to false, but is mandated/)
  assert.equal((await write({ cas: 2 })).status, 200)
})

test('VAULT-2: KV 2: metadata too can demand check-and-set', async (t) => {
  const { root, refused, metadata } = await setup(t)
  const write = (body: Fields) => root('POST', 'secret/metadata/a', { max_versions: 2, ...body })
  await refused(write({ metadata_cas: 1 }), /metadata_cas must be 0 when creating new metadata/)
  assert.equal((await write({ metadata_cas: 0, metadata_cas_required: true })).status, 204)
  assert.equal((await metadata())['current_metadata_version'], 1)
  await refused(write({}), /metadata check-and-set parameter required for this call/)
  await refused(
    write({ metadata_cas: 2 }),
    /metadata check-and-set parameter does not match the current version/,
  )
  assert.equal((await root('PATCH', 'secret/metadata/a', { metadata_cas: 1, max_versions: 4 })).status, 204)
  assert.equal((await metadata())['current_metadata_version'], 2)
  await root('POST', 'secret/config', { metadata_cas_required: true })
  await refused(root('POST', 'secret/metadata/b', { max_versions: 1 }), /required for this call/)
})

test('VAULT-2: KV 2: versions end by age unless a negative age says never', async (t) => {
  const { root, metadata, clock } = await setup(t)
  const write = async () => dataOf(await root('POST', 'secret/data/a', { data: {} }))['deletion_time']
  await root('POST', 'secret/config', { delete_version_after: '1h' })
  assert.equal(await write(), new Date(clock.now().getTime() + 3_600_000).toISOString())
  await root('POST', 'secret/metadata/a', { delete_version_after: '-1s' })
  assert.equal((await metadata())['delete_version_after'], '-1s')
  assert.equal(await write(), '')
  await root('POST', 'secret/metadata/a', { delete_version_after: '30m' })
  assert.equal(await write(), new Date(clock.now().getTime() + 1_800_000).toISOString())
  await root('POST', 'secret/config', { delete_version_after: '-1s' })
  assert.equal(dataOf(await root('GET', 'secret/config'))['delete_version_after'], '-1s')
  assert.equal(await write(), '')
})

test('VAULT-2: KV 2: the keys of a secret without its values, to a depth', async (t) => {
  const { root } = await setup(t)
  const data = { a: { b: { c: 1 } }, list: [{ d: 1 }], empty: {}, none: null }
  await root('POST', 'secret/data/a', { data })
  const keys = async (query = '') => dataOf(await root('GET', `secret/subkeys/a${query}`))['subkeys']
  assert.deepEqual(await keys(), { a: { b: { c: null } }, list: null, empty: null, none: null })
  assert.deepEqual(await keys('?depth=1'), { a: null, list: null, empty: null, none: null })
  assert.deepEqual(await keys('?depth=2&version=1'), { a: { b: null }, list: null, empty: null, none: null })
  assert.equal((await root('GET', 'secret/subkeys/a?version=2')).status, 404)
  await root('DELETE', 'secret/data/a')
  const deleted = await root('GET', 'secret/subkeys/a')
  assert.deepEqual([deleted.status, dataOf(deleted)['subkeys']], [404, null])
})

test('VAULT-2: KV 2: a folder with the metadata of what is in it', async (t) => {
  const { root } = await setup(t)
  for (const name of ['x/a', 'x/b', 'x/y/c']) await root('POST', `secret/data/${name}`, { data: {} })
  const listed = dataOf(await root('LIST', 'secret/detailed-metadata/x'))
  assert.deepEqual(listed['keys'], ['a', 'b', 'y/'])
  const info = listed['key_info'] as Record<string, Fields>
  assert.deepEqual([Object.keys(info), info['a']?.['current_version']], [['a', 'b', 'y/'], 1])
  assert.deepEqual(info['y/'], {})
  assert.equal((await root('LIST', 'secret/detailed-metadata/none')).status, 404)
})
