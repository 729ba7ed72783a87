import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { judgeAssigned } from './judge.ts'

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** The same text for the same seed: what is found must not hang on the luck of a run. */
const drawn = (seed: number, length: number): string =>
  Array.from(
    createHash('sha512').update(String(seed)).digest().subarray(0, length),
    (byte) => letters[byte % letters.length],
  ).join('')
const judged = (key: string, kind: 'password' | 'token', value: string) =>
  judgeAssigned({ key, kind, way: 'assigned', quote: '"', start: 0, end: value.length }, value, {
    syntax: 'yaml',
    file: 'shop.yaml',
  })

test('DISC-2: of 20,000 drawn passwords and tokens next to none is taken for a name', () => {
  for (const [key, kind] of [['db_password', 'password'] as const, ['api_token', 'token'] as const]) {
    const values = Array.from({ length: 20_000 }, (_, seed) => drawn(seed, 24))
    const missed = values.filter((value) => !judged(key, kind, value))
    assert.ok(missed.length <= 2, `${kind}: ${missed.length} missed: ${missed.join(' ')}`)
  }
})

test('DISC-2: long names that programs have are not taken for drawn ones', () => {
  for (const name of [
    'passwordResetTokenFieldName',
    'getUserCredentialsFromVault',
    'ConnectionStringPasswordKey',
    'theDatabaseOfTheOldService',
    'kubernetesSecretsStoreDriver',
  ])
    assert.equal(judged('db_password', 'password', name), undefined, name)
})
