import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'

test('VAULT-2: a list is given in pieces: the names behind one, and so many of them', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  for (const name of ['a', 'b', 'c/d']) await root('POST', `secret/data/${name}`, { data: {} })
  const keys = async (query: string): Promise<unknown> => {
    const { body } = await root('LIST', `secret/metadata?${query}`)
    return Object(body['data'])['keys']
  }
  assert.deepEqual(await keys('limit=2'), ['a', 'b'])
  assert.deepEqual(await keys('limit=0'), ['a', 'b', 'c/'])
  assert.deepEqual(await keys('after=a&limit=-1'), ['b', 'c/'])
  assert.deepEqual(await keys('after=a&limit=1'), ['b'])
  const detailed = await root('LIST', 'secret/detailed-metadata?after=b')
  assert.deepEqual(Object.keys(Object(detailed.body['data'])['key_info']), ['c/'])
  assert.equal((await root('LIST', 'secret/metadata?after=d')).status, 404)
  assert.equal((await root('LIST', 'secret/metadata?limit=x')).status, 400)
})

test('VAULT-2: a path with a slash at its end is not the path without it', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'transit/keys/prod', {})
  const policy =
    'path "transit/keys/*" { capabilities = ["read", "update"] }\npath "transit/keys/prod" { capabilities = ["deny"] }'
  await root('POST', 'sys/policies/acl/most', { policy })
  const { body } = await root('POST', 'auth/token/create', { policies: ['most'] })
  const holder = callerOf(vault, String(Object(body['auth'])['client_token']))
  assert.equal((await holder('GET', 'transit/keys/prod')).status, 403)
  // What is denied is denied under both spellings; who is denied nothing finds nothing there.
  assert.equal((await holder('GET', 'transit/keys/prod/')).status, 403)
  assert.equal((await holder('POST', 'transit/keys/prod/', {})).status, 400)
  assert.equal((await root('GET', 'transit/keys/prod/')).status, 404)
  const written = await root('POST', 'transit/keys/prod/', {})
  assert.deepEqual([written.status, written.body['errors']], [400, ["cannot write to a path ending in '/'"]])
})
