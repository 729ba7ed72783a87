// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of other languages
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { judgeAssigned } from './judge.ts'

const draws = createDraws('judge')
const judged = (key: string, kind: 'password' | 'token', value: string) =>
  judgeAssigned({ key, kind, way: 'assigned', quote: '"', start: 0, end: value.length }, value, {
    syntax: 'yaml',
    file: 'shop.yaml',
  })

test('DISC-2: of 20,000 drawn passwords and tokens next to none is taken for a name', () => {
  for (const [key, kind] of [['db_password', 'password'] as const, ['api_token', 'token'] as const]) {
    const values = Array.from({ length: 20_000 }, () => draws.text(24))
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

test('DISC-2: of passwords drawn from all keys of a keyboard most are found, brackets or not', () => {
  const keys = `abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!@#%^*-_+=?.,:~$&()[]{}<>;|/`
  const values = Array.from({ length: 2000 }, () => draws.text(16, keys))
  const missed = values.filter((value) => !judged('db_password', 'password', value))
  assert.ok(missed.length <= 220, `${missed.length} of 2000 missed: ${missed.slice(0, 9).join('   ')}`)
})

test('DISC-2: what a program writes with as many signs is no password', () => {
  for (const code of [
    '$(get_pw2 a)',
    '${DB_PW:-x2}!',
    '{{pw.v2|b64}}',
    'f(x1,y2)[0]->z',
    '<%=pw[1]%>!',
    '^[a-zA-Z0-9]{8,}$',
    'decode($1,$2)',
  ])
    assert.equal(judged('db_password', 'password', code), undefined, code)
})
