import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createScanner } from '../scan.ts'
import { createIgnoreList } from './ignores.ts'
import { parseSettings } from './settings.ts'

const draws = createDraws('settings')
const rule = `
[[rule]]
id = "shop-session"
title = "Session key of the shop"
keywords = ["shs_"]
pattern = 'shs_[0-9a-f]{24}'
confidence = "high"
`

test("DISC-3: a rule of one's own finds what it describes", () => {
  const { detectors } = parseSettings(rule, '.keyward.toml')
  const scanner = createScanner({ fingerprintKey: draws.bytes(32), rules: { detectors } })
  const value = `shs_${draws.hex(12)}`
  const [finding, ...more] = scanner.contents(Buffer.from(`one\n  let key = f('${value}')\n`), 'shop.js')
  assert.equal(more.length, 0)
  assert.deepEqual(
    [finding?.rule, finding?.confidence, finding?.place.line, finding?.value.reveal()],
    ['shop-session', 'high', 2, value],
  )
})

const mistakes: [string, string, RegExp][] = [
  ['no TOML', 'a = \n', /^s\.toml:1: this is no TOML: /],
  ['an unknown table', '[[rules]]\n', /^s\.toml:1: the file knows no rules$/],
  ['an unknown key', `\n${rule}entropy = 3\n`, /^s\.toml:3: rule knows no entropy$/],
  ['a name with capitals', rule.replace('shop-session', 'Shop'), /^s\.toml:3: rule\.id: is written in small/],
  ['a short keyword', rule.replace('"shs_"', '"s"'), /^s\.toml:5: rule\.keywords: has three characters/],
  ['no expression', rule.replace('shs_[', 'shs_(['), /^s\.toml:6: rule shop-session: .*Unterminated group$/],
  ['the empty text', rule.replace("'shs_[0-9a-f]{24}'", "'(?:shs_)*'"), /:6: .* fits the empty text$/],
  [
    'a slow expression',
    rule.replace('{24}', '{24}(?:a+)+'),
    /^s\.toml:6: rule shop-session: .* several ways/,
  ],
  ['no reason', '[[ignore]]\nrule = "x"\n', /^s\.toml:1: ignore\.reason: /],
  ['nothing to ignore', '[[ignore]]\nreason = "x"\n', /^s\.toml:1: ignore: says what is ignored/],
  [
    'a date in quotes',
    '\n[[ignore]]\nreason="x"\nrule="y"\nuntil="2027-01-01"\n',
    /^s\.toml:5: ignore\.until: /,
  ],
  ['a second mistake', `${rule}${rule.replace('"high"', '"sure"')}`, /^s\.toml:14: rule\.confidence: /],
]
for (const [name, text, words] of mistakes) {
  test(`DISC-3: a settings file with ${name} is refused with its line`, () => {
    assert.throws(() => parseSettings(text, 's.toml'), { code: 'request.invalid', detail: words })
  })
}

const fingerprint = `kf1_${'0'.repeat(32)}`
const finding = (file: string, more: object = {}) => ({
  fingerprint,
  rule: 'assigned-password',
  place: { file },
  ...more,
})

test('DISC-3: an entry hides what fits all that it names, and nothing else', () => {
  const { ignores } = parseSettings(
    `[[ignore]]
reason = "made up"
rule = "assigned-password"
path = "docs/**"
[[ignore]]
fingerprint = "kf1_${'1'.repeat(32)}"
reason = "revoked"
`,
    's.toml',
  )
  const list = createIgnoreList(ignores, '2026-06-01')
  assert.deepEqual(list.entryFor(finding('docs/a/b.md'))?.reason, 'made up')
  assert.equal(list.entryFor(finding('src/docs.ts')), undefined)
  assert.equal(list.entryFor(finding('docs/a.md', { rule: 'other' })), undefined)
  assert.equal(list.entryFor(finding('x', { fingerprint: `kf1_${'1'.repeat(32)}` }))?.line, 5)
})

test('DISC-3: an entry holds until the end of its day, and is told after', () => {
  const { ignores } = parseSettings('[[ignore]]\nreason = "a"\npath = "*"\nuntil = 2027-01-31\n', 's.toml')
  const before = createIgnoreList(ignores, '2027-01-31')
  assert.deepEqual([before.entryFor(finding('a'))?.reason, before.expired.length], ['a', 0])
  const after = createIgnoreList(ignores, '2027-02-01')
  assert.deepEqual([after.entryFor(finding('a')), after.expired.length], [undefined, 1])
})
