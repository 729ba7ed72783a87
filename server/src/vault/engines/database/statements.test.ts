import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../../core/index.ts'
import { withoutSecrets } from './failure.ts'
import { isAllowed } from './names.ts'
import { filled, plainStatements, statementsField } from './statements.ts'

test('VAULT-3: statements come as a list, as one text, in base64 and as JSON', () => {
  const two = ['create role "a"; select 1', 'select 2']
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  assert.deepEqual(statementsField({ s: two }, 's'), two)
  assert.deepEqual(statementsField({ s: ' select 1 ' }, 's'), ['select 1'])
  assert.deepEqual(statementsField({ s: '' }, 's'), [])
  assert.equal(statementsField({}, 's'), undefined)
  assert.throws(() => statementsField({ s: [1] }, 's'), { code: 'request.invalid' })
  assert.deepEqual(plainStatements(two), two)
  assert.deepEqual(plainStatements([JSON.stringify(two)]), two)
  assert.deepEqual(plainStatements([base64(JSON.stringify(two)), base64('select 3')]), [...two, 'select 3'])
  assert.deepEqual(plainStatements(['commit', '[not json', 'abcd']), ['commit', '[not json', 'abcd'])
})

test('VAULT-3: what is put into a statement is not looked through again', () => {
  assert.equal(
    filled('{{name}} {{password}} {{other}}', { name: '{{password}}', password: 'p' }),
    '{{password}} p {{other}}',
  )
})

test('VAULT-3: the words of a database lose every password, also the part of one that they quote', () => {
  const secret = new Secret('Ab12-xyz-Q9')
  const clean = withoutSecrets('syntax error at or near "Ab12" in Ab12-xyz-Q9, role "shop"', [secret])
  assert.equal(clean, 'syntax error at or near "[password]" in [password], role "shop"')
})

test('VAULT-3: roles are allowed by name, or by a star at either end', () => {
  assert.ok(isAllowed(['*'], 'x') && isAllowed(['a', 'b'], 'b') && isAllowed(['my-*'], 'my-role'))
  assert.ok(isAllowed(['*-ro'], 'shop-ro') && isAllowed(['*hop*'], 'shop-ro'))
  assert.ok(
    !isAllowed([], 'x') && !isAllowed(['a'], 'ab') && !isAllowed(['a*'], 'ba') && !isAllowed(['A'], 'a'),
  )
})
