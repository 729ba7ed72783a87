import assert from 'node:assert/strict'
import { test } from 'node:test'
import { detectors } from '../detectors/index.ts'
import { whySlow } from './growth.ts'

const quick = [
  /shs_[0-9a-f]{40}/,
  /shs_[\w-]{20,80}/,
  /shs_\w+/i,
  /key\s*[:=]\s*["']?(?<value>[A-Za-z0-9]{16,64})/,
  /(?:[a-z]+-)+x_[0-9]{3}/,
  /(?:\d{1,3}\.){3}\d{1,3}/,
  /(?:[a-f0-9]{4}-?){8}/,
  /(?<=^|\s)acme(?!_test)_[a-z]{10,300}\b/,
  /[\w-]{0,50}(?:key|token)[\w-]{0,20}=/,
  /(?:ab|ac)+d/,
  /"(?:[^"\\]|\\.)*"/,
  /[\]a\-\x41-\u005a]{2,9}/,
]
for (const pattern of quick) {
  test(`DISC-3: a rule may be /${pattern.source}/`, () => assert.equal(whySlow(pattern), undefined))
}

const slow: [RegExp, RegExp][] = [
  [/(?:a+)+b/, /several ways/],
  [/(?:a|a)*b/, /several ways/],
  [/(?:a|ab|b)*c/, /several ways/],
  [/(?:[a-z]{1,9}){8}x/, /several ways/],
  [/(?:\w+\s?)+;/, /several ways/],
  [/(?:a{2}|a{3})+b/, /several ways/],
  [/(?:a*b?)+c/, /may be empty/],
  [/(?:a?){30}a{30}/, /may be empty/],
  [/(?=(?:x+)+y)acme/, /several ways/],
  [/\w*\w*acme/, /small bounds/],
  [/[a-z]{0,50}[a-y]{0,50}[a-x]{0,50}9/, /small bounds/],
  [/(['"])acme\1/, /refers back/],
]
for (const [pattern, reason] of slow) {
  test(`DISC-3: a rule may not be /${pattern.source}/`, () => assert.match(whySlow(pattern) ?? '', reason))
}

test("DISC-2: no built-in pattern's time doubles with every character", () => {
  const refused = detectors
    .map(({ rule, pattern }) => `${rule}: ${whySlow(pattern)}`)
    .filter((reason) => /several ways|may be empty/.test(reason))
  assert.deepEqual(refused, [])
})
