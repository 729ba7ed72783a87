import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AppError } from '../../src/core/index.ts'
import { compileAcl } from '../../src/vault/acl/acl.ts'
import { parseHcl } from '../../src/vault/acl/hcl.ts'
import {
  type Capability,
  capabilities,
  type PathRule,
  parsePolicy,
} from '../../src/vault/acl/policy-document.ts'
import { type Fuzzed, mutated, refusesInWords } from './fuzzed.ts'

const word = fc.stringMatching(/^[a-z0-9_-]{1,8}$/)
const segment = fc.oneof({ weight: 6, arbitrary: word }, { weight: 1, arbitrary: fc.constant('+') })
const rulePath = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '/', '/*'))
  .map(([segments, end]) => segments.join('/') + end)
const stanza = fc.record({
  path: rulePath,
  capabilities: fc.uniqueArray(fc.constantFrom(...capabilities), { minLength: 1, maxLength: 4 }),
  comment: fc.constantFrom('', '# a comment\n', '// another\n', '/* long\n one */ '),
})
type Stanza = { path: string; capabilities: Capability[]; comment: string }

const hclOf = (stanzas: readonly Stanza[]): string =>
  stanzas
    .map(
      ({ path, capabilities: allowed, comment }) =>
        `${comment}path "${path}" {\n  ${comment}capabilities = [${allowed.map((one) => `"${one}"`).join(', ')}]\n}\n`,
    )
    .join('')
const jsonOf = (stanzas: readonly Stanza[]): string =>
  JSON.stringify({
    path: stanzas.map(({ path, capabilities: allowed }) => ({ [path]: { capabilities: allowed } })),
  })
const meaning = (rules: readonly PathRule[]): unknown =>
  rules.map(({ path, glob, capabilities: allowed }) => ({ path, glob, allowed: [...allowed].sort() }))

/** What a stanza says, by the words of the documentation and without the code that is tested. */
function matches(pattern: string, path: string): boolean {
  const glob = pattern.endsWith('*')
  const wanted = (glob ? pattern.slice(0, -1) : pattern).split('/')
  const given = path.split('/')
  if (!glob && wanted.length !== given.length) return false
  if (glob && given.length < wanted.length) return false
  return wanted.every((part, i) => {
    if (part === '+') return true
    const isLast = i === wanted.length - 1
    return glob && isLast ? given[i]?.startsWith(part) : given[i] === part
  })
}

const seeds = [
  'path "secret/data/*" { capabilities = ["read", "list"] }',
  'path "a" {\n policy = "write" # old\n}\nname = "x"',
  'path "a/+/b" {\n capabilities = ["create"]\n required_parameters = ["x"]\n allowed_parameters = { "k" = ["v", 1, true] "*" = [] }\n min_wrapping_ttl = "1s" }',
  'path "a" { capabilities = [<<EOT\nread\nEOT\n] }',
  '{"path":{"secret/*":{"capabilities":["read"]}}}',
  '{"path":[{"a":{"capabilities":["deny"]}},{"b":{"policy":"sudo"}}]}',
  'path "identity/{{identity.entity.id}}/*" { capabilities = ["read"] }',
]

export const policyProperties: readonly Fuzzed[] = [
  {
    name: 'HCL: any text is read or refused with its place',
    property: fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), mutated(seeds)), (text) =>
      refusesInWords(() => parseHcl(text), ['policy.invalid']),
    ),
  },
  {
    name: 'policies: any text is read or refused with its place',
    property: fc.property(mutated(seeds), (text) =>
      refusesInWords(() => {
        for (const rule of parsePolicy(text)) {
          assert.ok(!rule.path.includes('\0') || text.includes('\0'))
          for (const one of rule.capabilities) assert.ok(capabilities.includes(one))
        }
      }, ['policy.invalid', 'request.invalid']),
    ),
  },
  {
    name: 'policies: HCL and JSON mean the same',
    property: fc.property(fc.array(stanza, { maxLength: 6 }), (stanzas) => {
      assert.deepEqual(meaning(parsePolicy(hclOf(stanzas))), meaning(parsePolicy(jsonOf(stanzas))))
    }),
  },
  {
    name: 'policies: what no stanza matches is allowed to nobody, and what every matching one denies neither',
    property: fc.property(
      fc.array(stanza, { maxLength: 6 }),
      fc.array(word, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('/')),
      (stanzas, path) => {
        const acl = compileAcl([parsePolicy(hclOf(stanzas))])
        const fitting = stanzas.filter((one) => matches(one.path, path))
        const allowed = capabilities.filter((one) => one !== 'deny' && acl.allows(path, one, false))
        const said = new Set(fitting.flatMap((one) => one.capabilities))
        for (const one of allowed) assert.ok(said.has(one), `${one} on ${path}`)
        if (fitting.length > 0 && fitting.every((one) => one.capabilities.includes('deny')))
          assert.deepEqual(allowed, [])
        const exact = stanzas.filter((one) => one.path === path)
        if (exact.length === 1 && !exact[0]?.capabilities.includes('deny'))
          assert.deepEqual([...allowed].sort(), [...(exact[0]?.capabilities ?? [])].sort())
      },
    ),
  },
  {
    name: 'HCL: deep nesting is refused, not followed',
    property: fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.constantFrom('[', '{a=', '{"a":'),
      (depth, open) => {
        try {
          parseHcl(`a = ${open.repeat(depth)}`)
          assert.fail('it is never closed')
        } catch (error) {
          assert.ok(error instanceof AppError, String(error))
        }
      },
    ),
  },
]
