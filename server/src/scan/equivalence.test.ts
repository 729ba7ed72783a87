// The engine looks for keywords and runs patterns in windows; here every pattern runs over the whole text. Both must find
// the same, wherever values stand: at the ends, side by side, cut short, among keywords that lead nowhere.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import type { Detector } from './detector.ts'
import { exampleOf } from './detectors/example.ts'
import { detectorOf, type Row } from './detectors/form.ts'
import { groups } from './detectors/index.ts'
import { createEngine } from './engine.ts'
import { isSample } from './plausible.ts'

const draws = createDraws('equivalence')
const fingerprintKey = draws.bytes(32)
const rows = groups.flatMap((group) => group.rows)
const pick = <T>(from: readonly T[]): T | undefined => from[draws.below(from.length)]

/** Where values stand, by the pattern alone. */
function plainly(detector: Detector, text: string): string[] {
  const { source, flags } = detector.pattern
  const before = source.includes('(?<value>') ? '' : '(?<=^|[^A-Za-z0-9_]|\\\\[nrt])'
  const pattern = new RegExp(`${before}(?:${source})(?![A-Za-z0-9])`, `${flags.replace(/[gd]/g, '')}gd`)
  return [...text.matchAll(pattern)].flatMap(({ indices }) => {
    const [start, end] = indices?.groups?.['value'] ?? indices?.[0] ?? [0, 0]
    const value = text.slice(start, end)
    const dropped = ((detector.rank ?? 3) >= 3 && isSample(value)) || detector.judge?.(value) === false
    return dropped ? [] : [`${start}-${end}`]
  })
}

function byEngine(detector: Detector, text: string): string[] {
  const engine = createEngine({ detectors: [detector], fingerprintKey })
  // A file that holds only data: no assignments are read in it.
  return engine
    .detect({ bytes: Buffer.from(text, 'latin1'), file: 'text.map' })
    .filter(({ place, rule }) => place.wrapping === 'none' && rule === detector.rule)
    .map(({ place }) => `${place.start}-${place.end}`)
}

function written(row: Row): string {
  const form = typeof row.form === 'string' ? row.form : (pick(row.form) ?? '')
  const value = exampleOf(form, draws.below)
  const cut = draws.below(8) === 0 ? value.slice(0, draws.below(value.length)) : value
  if (!row.after) return cut
  const name = pick(row.after) ?? ''
  const key = pick([`${name}_key`, `${name.toUpperCase()}_API_TOKEN`, `${name}Secret`, name]) ?? ''
  return `${key}${pick(['=', ': ', ' = "', '": "', ' := ', '(', ' ']) ?? ''}${cut}`
}

const separators = ['\n', ' ', '"', "'", ';', ',', '\\n', '\\t', '=', '/', ':', '|', '\r\n', '', 'x', '_']
const fillers = [
  '',
  'key_',
  'token token ',
  'the secret of ',
  'a'.repeat(40),
  '-'.repeat(210),
  'é'.repeat(30),
]

test('DISC-2: in windows around keywords, each pattern finds what it finds in the whole text', () => {
  let found = 0
  for (let round = 0; round < 60; round++) {
    const chosen = Array.from({ length: 5 }, () => pick(rows)).filter((row) => row !== undefined)
    let text = ''
    for (let part = 0; part < 30; part++) {
      const row = pick(chosen)
      if (row) text += `${pick(fillers)}${pick(separators)}${written(row)}${pick(separators)}`
    }
    for (const row of chosen) {
      const detector = detectorOf(row)
      const expected = plainly(detector, text)
      assert.deepEqual(byEngine(detector, text), expected, `${detector.rule} in round ${round}`)
      found += expected.length
    }
  }
  assert.ok(found > 300, `${found} values were found`)
})
