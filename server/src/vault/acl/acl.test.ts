import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileAcl } from './acl.ts'
import { violationOf } from './limits.ts'
import { parsePolicy } from './policy-document.ts'

const aclOf = (...policies: string[]) => compileAcl(policies.map(parsePolicy))
const rule = (path: string, ...capabilities: string[]): string =>
  `path "${path}" { capabilities = ${JSON.stringify(capabilities)} }\n`

test('VAULT-2: nothing is allowed that no policy names', () => {
  const acl = aclOf(rule('secret/data/a', 'read'))
  assert.equal(acl.allows('secret/data/a', 'read'), true)
  assert.equal(acl.allows('secret/data/a', 'update'), false)
  assert.equal(acl.allows('secret/data/ab', 'read'), false)
  assert.equal(aclOf().allows('sys/mounts', 'read'), false)
})

test('VAULT-2: policies unite on the same path, and deny beats them', () => {
  assert.equal(aclOf(rule('a', 'read'), rule('a', 'update')).allows('a', 'update'), true)
  const acl = aclOf(rule('a', 'read', 'sudo'), rule('a', 'deny'))
  assert.equal(acl.allows('a', 'read'), false)
  assert.deepEqual(acl.capabilitiesOn('a'), ['deny'])
})

for (const [better, worse, path] of [
  ['a/b', 'a/*', 'a/b'],
  ['a/b*', 'a/*', 'a/bc'],
  ['a/+/c', 'a/*', 'a/b/c'],
  ['a/b/*', 'a/+/c', 'a/b/c'],
  ['a/+/c', 'a/+/*', 'a/b/c'],
  ['a/+/c*', 'a/+/+', 'a/b/cd'],
  ['a/+/c/d', 'a/+/+/d', 'a/b/c/d'],
] as const)
  test(`VAULT-2: "${better}" is more specific than "${worse}"`, () => {
    // `a/+/c*` ends in * and `a/+/+` does not, so there the order is the other way round.
    const [winner, loser] = better === 'a/+/c*' ? [worse, better] : [better, worse]
    for (const text of [
      rule(winner, 'read') + rule(loser, 'deny'),
      rule(loser, 'deny') + rule(winner, 'read'),
    ])
      assert.equal(aclOf(text).allows(path, 'read'), true)
  })

test('VAULT-2: + stands for exactly one segment that is not empty', () => {
  const acl = aclOf(rule('a/+/c', 'read'))
  assert.equal(acl.allows('a/b/c', 'read'), true)
  for (const path of ['a/c', 'a//c', 'a/b/b/c', 'a/b/c/d', 'a/b/cd'])
    assert.equal(acl.allows(path, 'read'), false, path)
})

test('VAULT-2: a list may be allowed with or without the final slash', () => {
  for (const written of ['a/b', 'a/b/', 'a/*', 'a/+', 'a/+/'])
    assert.equal(aclOf(rule(written, 'list')).allows('a/b/', 'list', true), true, written)
  assert.equal(aclOf(rule('a/b', 'list')).allows('a/bc/', 'list', true), false)
})

test('VAULT-2: a token sees the mounts that its policies touch', () => {
  const acl = aclOf(rule('secret/data/a', 'read') + rule('kv/+/x', 'read') + rule('no/*', 'deny'))
  assert.deepEqual(
    ['secret/', 'kv/', 'no/', 'other/'].map((mount) => acl.touches(mount)),
    [true, true, false, false],
  )
  assert.equal(aclOf(rule('*', 'read')).touches('any/'), true)
})

test('VAULT-2: the same rules come from JSON and from the older form', () => {
  assert.equal(aclOf('{"path":{"a/*":{"capabilities":["read"]}}}').allows('a/b', 'read'), true)
  assert.equal(
    aclOf('{"path":[{"a":{"policy":"write"}},{"b":{"policy":"deny"}}]}').allows('a', 'create'),
    true,
  )
})

for (const [what, text] of [
  ['an unknown capability', rule('a', 'raed')],
  ['an unknown stanza', 'paths "a" {}'],
  ['a restriction that would not be enforced', 'path "a" { subscribe_event_types = ["x"] }'],
  ['a parameter without a list', 'path "a" { denied_parameters = { x = "y" } }'],
  ['a list in the list of a parameter', 'path "a" { allowed_parameters = { x = [["y"]] } }'],
  ['a required parameter that is no name', 'path "a" { required_parameters = [1] }'],
  ['a wrapping time that is none', 'path "a" { min_wrapping_ttl = "soon" }'],
  ['a wrapping time longer than the longest', 'path "a" { min_wrapping_ttl = "2h" max_wrapping_ttl = "1h" }'],
  ['a template whose braces do not pair', rule('a/{{identity.entity.id', 'read')],
  ['+*', rule('a/+*', 'read')],
  ['a path that is no block', 'path = "a"'],
] as const)
  test(`VAULT-2: ${what} is refused`, () => {
    assert.throws(() => parsePolicy(text), { code: 'policy.invalid' })
  })

const within = (text: string, body: Record<string, unknown>, wrapSeconds?: number): boolean => {
  const limits = aclOf(...text.split('---')).limitsOn('a', false)
  return !limits || violationOf(limits, { operation: 'update', body, wrapSeconds }) === undefined
}
const limited = (attributes: string): string => `path "a" { capabilities = ["update"] ${attributes} }`

for (const [what, rules, body, expected] of [
  ['a parameter that is not named', limited('allowed_parameters = { x = [] }'), { y: 1 }, false],
  ['a named parameter of any value', limited('allowed_parameters = { x = [] }'), { X: 1 }, true],
  ['a value that is listed', limited('allowed_parameters = { x = ["a", "b*", 3, true] }'), { x: 'bc' }, true],
  ['a number that is listed', limited('allowed_parameters = { x = [3] }'), { x: 3 }, true],
  ['a value that is not listed', limited('allowed_parameters = { x = ["a"] }'), { x: 'ab' }, false],
  [
    'a list with one value not listed',
    limited('allowed_parameters = { x = ["a"] }'),
    { x: ['a', 'b'] },
    false,
  ],
  ['the rest under *', limited('allowed_parameters = { x = ["a"], "*" = [] }'), { y: 1 }, true],
  ['a listed one in spite of *', limited('allowed_parameters = { x = ["a"], "*" = [] }'), { x: 'b' }, false],
  ['nothing at all', limited('allowed_parameters = { x = ["a"] }'), {}, true],
  ['a denied parameter', limited('denied_parameters = { x = [] }'), { X: 1 }, false],
  ['a denied value', limited('denied_parameters = { x = ["*a*"] }'), { x: 'bab' }, false],
  ['a denied value in a list', limited('denied_parameters = { x = ["root"] }'), { x: ['b', 'root'] }, false],
  ['another value of a denied parameter', limited('denied_parameters = { x = ["a"] }'), { x: 'b' }, true],
  ['anything where all is denied', limited('denied_parameters = { "*" = [] }'), { x: 1 }, false],
  [
    'what is allowed and denied',
    limited('allowed_parameters = { x = [] } denied_parameters = { x = [] }'),
    { x: 1 },
    false,
  ],
  ['a request without what is required', limited('required_parameters = ["x"]'), { y: 1 }, false],
  ['a request with what is required', limited('required_parameters = ["X"]'), { x: 1 }, true],
  [
    'what another policy allows',
    `${limited('allowed_parameters = { x = ["a"] }')}---${limited('allowed_parameters = { x = ["b"] }')}`,
    { x: 'b' },
    true,
  ],
] as const)
  test(`VAULT-2: with limited parameters, ${what} is ${expected ? 'allowed' : 'refused'}`, () => {
    assert.equal(within(rules, body), expected)
  })

test('VAULT-2: a rule may demand wrapping, and bound its time', () => {
  const rules = limited('min_wrapping_ttl = "1m" max_wrapping_ttl = 3600')
  assert.deepEqual(
    [undefined, 59, 60, 3600, 3601].map((seconds) => within(rules, {}, seconds)),
    [false, false, true, true, false],
  )
})
