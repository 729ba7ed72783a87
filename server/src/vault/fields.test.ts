import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../core/index.ts'
import {
  booleanField,
  countField,
  durationField,
  listField,
  parseBody,
  textField,
  textMapField,
} from './fields.ts'

test('VAULT-2: an object where a word is expected is refused, whatever it calls itself', () => {
  const body = parseBody(new Secret('{"field":{"toString":0,"valueOf":0},"list":[{"toString":0}]}'))
  for (const read of [textField, booleanField, countField, listField, durationField])
    assert.throws(() => read(body, 'field'), { code: 'request.invalid' }, read.name)
  assert.throws(() => listField(body, 'list'), { code: 'request.invalid' })
  assert.throws(() => textMapField(parseBody(new Secret('{"map":{"a":{"toString":0}}}')), 'map'), {
    code: 'request.invalid',
  })
})

test('VAULT-2: lists come as lists or as words with commas between them', () => {
  const body = parseBody(new Secret('{"a":["x",1,true],"b":" x, y ,","c":null}'))
  assert.deepEqual(
    [listField(body, 'a'), listField(body, 'b'), listField(body, 'c')],
    [['x', '1', 'true'], ['x', 'y'], undefined],
  )
})
