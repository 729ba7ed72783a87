import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newPlaceholder } from '../../test/support/egress.ts'
import type { RequestParts } from './placeholders.ts'
import { placesIn } from './places.ts'

const one = newPlaceholder()
const base64 = (text: string): string => Buffer.from(text).toString('base64')

function places(more: Partial<RequestParts> & { json?: string; form?: string }): string[] {
  const { json, form, ...parts } = more
  const contentType = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded'
  const text = json ?? form
  const request = { target: '/', headers: [], contentType, body: undefined, ...parts }
  const found = placesIn({ ...request, ...(text === undefined ? {} : { body: Buffer.from(text) }) })
  return found.get(one) ?? []
}
const header = (name: string, value: string): string[] => places({ headers: ['Host', 'x', name, value] })

test('LEND-2: the place of a placeholder is told exactly: headers', () => {
  assert.deepEqual(header('Authorization', `Bearer ${one}`), ['bearer'])
  assert.deepEqual(header('authorization', `bearer  sk_${one}`), ['bearer'])
  assert.deepEqual(header('Authorization', `token ${one}`), ['header:authorization'])
  assert.deepEqual(header('Authorization', `Bearer ${one} and more`), ['header:authorization'])
  assert.deepEqual(header('Authorization', `Basic ${base64(`me:a:${one}`)}`), ['basic:password'])
  assert.deepEqual(header('Authorization', `Basic ${base64(`${one}:`)}`), ['basic:username'])
  assert.deepEqual(header('Authorization', `Basic ${base64(`${one}:${one}`)}`), [
    'basic:username',
    'basic:password',
  ])
  assert.deepEqual(header('X-Other', `Basic ${base64(one)}`), ['header:x-other'])
  assert.deepEqual(header('X-Api-Key', one), ['header:x-api-key'])
  assert.deepEqual(header('Cookie', `a=b; sid=${one}`), ['cookie:sid'])
  assert.deepEqual(header('Cookie', `${one}=b`), ['cookie:?'])
})

test('LEND-2: the place of a placeholder is told exactly: path and query', () => {
  assert.deepEqual(places({ target: `/a/${one}/b` }), ['path'])
  assert.deepEqual(places({ target: `/a?x=1&key=${one}` }), ['query:key'])
  assert.deepEqual(places({ target: `/a?%6bey=${one}` }), ['query:key'])
  assert.deepEqual(places({ target: `/a?%zz=${one}` }), ['query:%zz'])
  assert.deepEqual(places({ target: `/a?b=?key=${one}` }), ['query:b'])
  assert.deepEqual(places({ target: `/a?${one}` }), ['query:?'])
  assert.deepEqual(places({ target: `/a?key=${one}&key=${one}` }), ['query:key', 'query:key'])
})

test('LEND-2: the place of a placeholder is told exactly: bodies', () => {
  assert.deepEqual(places({ json: JSON.stringify({ auth: { 'k/e~y': one } }) }), ['body:/auth/k~1e~0y'])
  assert.deepEqual(places({ json: JSON.stringify([1, [one]]) }), ['body:/1/0'])
  assert.deepEqual(places({ json: JSON.stringify(one) }), ['body:'])
  assert.deepEqual(places({ form: `a=1&key=${one}` }), ['body:/key'])
  assert.deepEqual(places({ contentType: 'text/plain', body: Buffer.from(one) }), ['body'])
})

test('LEND-2: a body that two readers could read differently has no place to be exchanged in', () => {
  assert.deepEqual(places({ json: `{"key": "${one}", "key": "x"}` }), ['body'])
  assert.deepEqual(places({ json: `{"key": "${one}"` }), ['body'])
  assert.deepEqual(places({ json: `{"${one}": 1}` }), ['body'])
  assert.deepEqual(places({ json: '' }), [])
})
