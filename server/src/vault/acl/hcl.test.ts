import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../core/index.ts'
import { parseHcl } from './hcl.ts'

const keys = (text: string): string[] => parseHcl(text).entries.map((entry) => entry.key)
const firstValue = (text: string): unknown => parseHcl(text).entries[0]?.value

test('VAULT-2: HCL values of every kind are read', () => {
  assert.equal(firstValue('a = "x\\n\\"y\\u0041"'), 'x\n"yA')
  assert.equal(firstValue('a = -1.5e2'), -150)
  assert.equal(firstValue('a = true'), true)
  assert.deepEqual(firstValue('a = ["x", 1, [false],]'), ['x', 1, [false]])
  assert.equal(firstValue('a = <<EOT\none\n  two\nEOT\n'), 'one\n  two\n')
  assert.equal(firstValue('a = <<-EOT\n  one\n  two\n  EOT\n'), 'one\ntwo\n')
  assert.deepEqual(keys('a = 1 # x\n// y\n/* z\n */ b = 2, c = 3'), ['a', 'b', 'c'])
})

test('VAULT-2: a block keeps labels, body and place', () => {
  const [entry] = parseHcl('\n  path "a/b" {\n    x = 1\n  }').entries
  assert.deepEqual([entry?.key, entry?.labels, entry?.line, entry?.column], ['path', ['a/b'], 2, 3])
})

test('VAULT-2: JSON is read by the same parser', () => {
  const [entry] = parseHcl('{"path": {"a/*": {"capabilities": ["read"]}}}').entries
  assert.equal(entry?.key, 'path')
})

for (const [what, text, place] of [
  ['an open string', 'a = "x', 'line 1, column 7'],
  ['a line break in a string', 'a = "x\n"', 'line 2'],
  ['a missing value', 'a =\n', 'line 2, column 1'],
  ['an open block', 'path "a" {\n  b = 1\n', 'line 3, column 1'],
  ['an open comment', 'a = 1 /* never', 'line 1'],
  ['an open heredoc', 'a = <<X\nb\n', 'line 2'],
  ['a stray bracket', 'a = 1 }', 'line 1, column 7'],
  ['an unknown escape', 'a = "\\q"', 'line 1'],
  ['a list without commas', 'a = [1 2]', 'line 1, column 8'],
] as const)
  test(`VAULT-2: ${what} is refused with its place`, () => {
    assert.throws(
      () => parseHcl(text),
      (error) =>
        error instanceof AppError && error.code === 'policy.invalid' && String(error.detail).includes(place),
    )
  })

test('VAULT-2: nesting has a limit', () => {
  assert.throws(() => parseHcl(`a = ${'['.repeat(5000)}`), { code: 'policy.invalid' })
  assert.throws(() => parseHcl('a {'.repeat(5000)), { code: 'policy.invalid' })
})

test('VAULT-2: whatever is cut, doubled or altered parses or is refused, and nothing else', () => {
  const sample =
    'path "a/+/b*" {\n  capabilities = ["read", "list"] # c\n  x = <<E\nt\nE\n  y = { z = -1.0 }\n}\n'
  // A fixed sequence, so that a failure comes back.
  let seed = 1
  const random = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  for (let round = 0; round < 3000; round++) {
    const from = random(sample.length)
    const to = random(sample.length)
    const kind = random(3)
    const mutated =
      kind === 0
        ? sample.slice(Math.min(from, to), Math.max(from, to))
        : kind === 1
          ? sample.slice(0, from) + String.fromCharCode(random(128)) + sample.slice(from + 1)
          : sample.slice(0, to) + sample.slice(from)
    try {
      parseHcl(mutated)
    } catch (error) {
      assert.ok(error instanceof AppError, `${JSON.stringify(mutated)}: ${String(error)}`)
      assert.match(String(error.detail), /^line \d+, column \d+: /)
    }
  }
})
