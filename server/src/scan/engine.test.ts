import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { createBudget } from './budget.ts'
import type { Detector } from './detector.ts'
import { detectors } from './detectors/index.ts'
import { createEngine } from './engine.ts'
import { createFullEngine } from './full-engine.ts'
import { longestMatch } from './pattern-length.ts'

const draws = createDraws('engine')
const fingerprintKey = draws.bytes(32)
const engine = createFullEngine({ fingerprintKey, rules: { detectors: [], only: false } })
const valuesIn = (text: string, file = 'a.txt'): string[] =>
  engine.detect({ bytes: Buffer.from(text), file }).map(({ value }) => value.reveal())
/** One that is found: of ten thousand random ones about one looks as if somebody had typed it. */
function newToken(): string {
  const token = draws.vaultToken()
  return valuesIn(`"${token}",`).length === 1 ? token : newToken()
}

test('the longest match of a pattern is told from its source', () => {
  const lengths: [RegExp, number][] = [
    [/abc/, 3],
    [/a{2,5}b?/, 6],
    [/(?:ab|c{9})d/, 10],
    [/(?<value>[\w\]-]{3})(?=x{90})(?<!y)\b$/, 3],
    [/[^"]{1,40}?\x41\u{41}\p{L}/u, 43],
    [/(?:(?:a{3}){4}|b){5}/, 60],
    [/a{0}b/, 1],
    [/a+/, Number.POSITIVE_INFINITY],
    [/a{2,}/, Number.POSITIVE_INFINITY],
    [/(?:(?=a*)b){7}/, 7],
  ]
  for (const [pattern, length] of lengths) assert.equal(longestMatch(pattern.source), length, pattern.source)
})

test('DISC-2: no detector can match more than its window holds', () => {
  for (const { rule, pattern } of detectors)
    assert.ok(longestMatch(pattern.source) <= 16_384, `${rule} reaches ${longestMatch(pattern.source)} bytes`)
})

test('DISC-2: a match that the edge of a window cuts is looked at again, whole', () => {
  const detector: Detector = {
    rule: 'own',
    provider: 'own',
    title: 'Own',
    confidence: 'high',
    keywords: ['own_'],
    pattern: /own_[a-z0-9]+/,
    prefixed: true,
  }
  const own = createEngine({ detectors: [detector], fingerprintKey })
  for (const length of [100, 200, 205, 3000, 12_000]) {
    const value = `own_${draws.text(length, '0123456789abcdef')}`
    const [finding] = own.detect({ bytes: Buffer.from(`x ${value} y`), file: 'a.txt' })
    assert.equal(finding?.value.reveal(), value)
  }
})

test('DISC-2: long signed tokens and long private keys are found whole', () => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: 'a', groups: Array.from({ length: 60 }, () => draws.hex(16)) }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  const token = `${signed}.${createHmac('sha256', draws.bytes(32)).update(signed).digest('base64url')}`
  assert.ok(token.length > 2800)
  assert.deepEqual(valuesIn(`bearer: ${token}\n`), [token])
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  for (const before of ['', 'x'.repeat(4_000_000)]) assert.deepEqual(valuesIn(`${before}\n${pem}`), [pem])
})

test('DISC-2: places in one endless line are right, and cost one pass', () => {
  const values = Array.from({ length: 3000 }, newToken)
  const line = `ä${values.map((value) => `"${value}",`.padEnd(1000)).join('')}`
  const found = engine.detect({ bytes: Buffer.from(line), file: 'a.txt' })
  assert.equal(found.length, values.length)
  for (const { place, value } of found) {
    assert.equal(place.line, 1)
    assert.equal(line.slice(place.column - 1, place.column - 1 + value.length), value.reveal())
  }
})

test('DISC-2: a file that is made to cost work ends at its budget, told, at the same place each time', () => {
  const hostile = [
    'password = "a{"'.repeat(40_000),
    '-----BEGIN PRIVATE KEY-----'.repeat(20_000),
    'eyJhbGciOiJIUzI1NiJ9.eyJhbGciOiJIUzI1NiJ9.'.repeat(10_000),
    'https://a:b'.repeat(40_000),
    '%22%3a%2f'.repeat(40_000),
    'QUFBQUFBQUFBQUFBQUFBQUFBQUFB '.repeat(15_000),
  ]
  for (const text of hostile) {
    const spent: number[] = []
    for (let round = 0; round < 2; round++) {
      const budget = createBudget(text.length)
      let steps = 0
      const counting = {
        ...budget,
        get exceeded() {
          return budget.exceeded
        },
        spend(used: number) {
          steps += used
          return budget.spend(used)
        },
      }
      engine.detect({ bytes: Buffer.from(text), file: 'a.txt', budget: counting })
      spent.push(steps)
    }
    assert.equal(spent[0], spent[1])
    assert.ok((spent[0] ?? 0) < 64e6 + 220 * text.length, `${text.slice(0, 20)}… cost ${spent[0]} steps`)
  }
  const budget = createBudget(10)
  assert.ok(budget.spend(60e6))
  assert.ok(!budget.spend(60e6))
  assert.match(budget.exceeded ?? '', /looks like a secret/)
})

test('DISC-2: a file of nothing but tokens is told up to a number', () => {
  const text = Array.from({ length: 20_100 }, newToken).join('\n')
  const budget = createBudget(text.length)
  assert.equal(engine.detect({ bytes: Buffer.from(text), file: 'a.txt', budget }).length, 20_000)
  assert.match(budget.exceeded ?? '', /more than 20000 findings/)
})

test('DISC-2: a private key keeps its own plus signs, and loses those of a patch', () => {
  const newKey = (): string => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return /\n\+/.test(pem) ? pem : newKey()
  }
  const key = newKey()
  const lines = key.trimEnd().split('\n')
  const [first = '', ...rest] = lines
  for (const written of [
    key,
    `key = "${lines.join('\\n')}\\n"`,
    `key: |\n${lines.map((line) => `  ${line}`).join('\n')}\n`,
    `${first}\n${rest.map((line) => `+${line}`).join('\n')}\n`,
  ])
    assert.deepEqual(valuesIn(written), [key])
})
