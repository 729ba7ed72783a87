import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'

test('VAULT-2: an unversioned KV becomes a versioned one, with all that it holds, and never the reverse', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/old', { type: 'kv' })
  const secrets: Record<string, object> = {
    a: { n: 1 },
    'meta/a': { n: 2 },
    'v/1/a': { deep: { l: [null] } },
    'x/y/z': { n: 3 },
  }
  for (const [name, values] of Object.entries(secrets)) await root('POST', `old/${name}`, values)
  const tuned = await root('POST', 'sys/mounts/old/tune', { options: { version: '2' } })
  assert.equal(tuned.status, 204)
  const { body } = await root('GET', 'sys/mounts/old')
  assert.deepEqual(Object(body['data'])['options'], { version: '2' })
  for (const [name, values] of Object.entries(secrets)) {
    const read = Object((await root('GET', `old/data/${name}`)).body['data'])
    assert.deepEqual([read['data'], read['metadata']['version']], [values, 1])
  }
  const listed = await root('LIST', 'old/metadata')
  assert.deepEqual(Object(listed.body['data'])['keys'], ['a', 'meta/', 'v/', 'x/'])
  assert.equal((await root('POST', 'old/data/a', { data: { n: 4 }, options: { cas: 1 } })).status, 200)
  const back = await root('POST', 'sys/mounts/old/tune', { options: { version: '1' } })
  assert.deepEqual([back.status, back.body['errors']], [400, ['cannot downgrade mount from version 2']])
})
