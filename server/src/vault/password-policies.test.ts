import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataOf, openAuth } from '../../test/support/vault-auth.ts'
import { generatePassword, parsePasswordPolicy } from './password-policies.ts'

const rule = (charset: string, least = 0): string =>
  `rule "charset" { charset = "${charset}" min-chars = ${least} }\n`

test('VAULT-2: a generated password has its length, and of each set at least what was asked', () => {
  const policy = parsePasswordPolicy(`length = 12\n${rule('abc', 2)}${rule('123', 3)}${rule('#', 1)}`)
  for (let i = 0; i < 200; i++) {
    const password = generatePassword(policy).reveal()
    assert.match(password, /^[abc123#]{12}$/)
    assert.ok(password.replace(/[^abc]/g, '').length >= 2)
    assert.ok(password.replace(/[^123]/g, '').length >= 3)
    assert.ok(password.includes('#'))
  }
})

test('VAULT-2: the same policy in JSON', () => {
  const policy = parsePasswordPolicy(
    '{"length": 20, "rule": [{"charset": {"charset": "ab", "min-chars": 1}}]}',
  )
  assert.equal(generatePassword(policy).reveal().length, 20)
})

for (const [what, text] of [
  ['no length', rule('abc')],
  ['a length that is too short', `length = 3\n${rule('abc')}`],
  ['no rule', 'length = 20'],
  ['an empty set', `length = 20\n${rule('')}`],
  ['more asked than the length holds', `length = 4\n${rule('abc', 3)}${rule('123', 2)}`],
  ['another kind of rule', 'length = 20 rule "words" { charset = "a" }'],
  ['an unknown attribute', 'length = 20 rule "charset" { charset = "a" max = 1 }'],
  ['an unknown stanza', `length = 20 name = "x" ${rule('abc')}`],
] as const)
  test(`VAULT-2: a password policy with ${what} is refused`, () => {
    assert.throws(
      () => parsePasswordPolicy(text),
      (error: { code?: string }) => ['request.invalid', 'policy.invalid'].includes(error.code ?? ''),
    )
  })

test('VAULT-2: password policies are written, listed, read, used and deleted; no password is recorded', async (t) => {
  const { root, audit } = await openAuth(t, 'approle')
  const policy = `length = 24\n${rule('abcdefghijklmnopqrstuvwxyz', 1)}`
  const at = 'sys/policies/password/mine'
  assert.equal((await root('PUT', at, { policy })).status, 204)
  assert.deepEqual(dataOf(await root('GET', at)), { policy })
  assert.deepEqual(dataOf(await root('LIST', 'sys/policies/password'))['keys'], ['mine'])
  const password = String(dataOf(await root('GET', `${at}/generate`))['password'])
  assert.match(password, /^[a-z]{24}$/)
  const { items } = await audit.page({ limit: 50, order: 'desc' })
  assert.equal(JSON.stringify(items).includes(password), false)
  assert.equal((await root('PUT', at, { policy: Buffer.from(policy).toString('base64') })).status, 204)
  assert.deepEqual(dataOf(await root('GET', at)), { policy })
  assert.equal((await root('PUT', at, { policy: 'nonsense' })).status, 400)
  assert.equal((await root('PUT', at, {})).status, 400)
  assert.equal((await root('DELETE', at)).status, 204)
  assert.equal((await root('GET', at)).status, 404)
  assert.equal((await root('GET', `${at}/generate`)).status, 404)
})
