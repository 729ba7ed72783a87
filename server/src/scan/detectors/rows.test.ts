// Every row of the tables against made-up credentials of its form in the ways they stand in files, and against what only
// nearly has the form. Nothing here is real: values are drawn at run time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { createDraws } from '../../../test/support/draws.ts'
import { bech32Remainder, checksumOf } from '../checks.ts'
import { createEngine } from '../engine.ts'
import { exampleOf } from './example.ts'
import { detectorOf, partsOf, type Row, sourceOf } from './form.ts'
import { detectors, groups } from './index.ts'

const { below, bytes } = createDraws('rows of the tables')
const drawnFrom = (form: string): string => exampleOf(form, below)

const rows = groups.flatMap((group) => group.rows)
const formsOf = (row: Row): readonly string[] => (typeof row.form === 'string' ? [row.form] : row.form)
const engine = createEngine({ detectors, fingerprintKey: Buffer.alloc(32, 7) })

type Hit = { rule: string; value: string; confidence: string }

const found = (text: string, file = 'notes.txt'): Hit[] =>
  engine.detect({ bytes: Buffer.from(text), file }).map(({ rule, value, confidence }) => ({
    rule,
    value: value.reveal(),
    confidence,
  }))

const githubToken = (prefix: string, length: number): string => {
  const body = drawnFrom(`<an ${length}>`)
  return `${prefix}${body}${checksumOf(body)}`
}

/** Credentials that hold their own checksum or structure. */
const issued: Record<string, () => string[]> = {
  'github-personal-access-token': () => [githubToken('ghp_', 30)],
  'github-oauth-token': () => [githubToken('gho_', 30)],
  'github-user-token': () => [githubToken('ghu_', 30)],
  'github-app-token': () => [githubToken('ghs_', 30)],
  'github-refresh-token': () => [githubToken('ghr_', 30), githubToken('ghr_', 70)],
  'npm-token': () => [githubToken('npm_', 30)],
  'gitlab-token': () => {
    const payload = bytes(33).toString('base64url')
    const body = `glpat-${payload}.01.${payload.length.toString(36).padStart(2, '0')}`
    return [
      drawnFrom('glpat-<url 20>'),
      drawnFrom('glrt-<url 20>'),
      body + crc32(body).toString(36).padStart(7, '0'),
    ]
  },
  'aws-access-key-id': () => [
    drawnFrom('AKIAI<b32 15>'),
    drawnFrom('AKIAZ<b32 4>A<b32 10>').replace(/^AKIAZ./, 'AKIAZA'),
  ],
  'pypi-token': () => [
    `pypi-${Buffer.concat([
      Buffer.from('\x02\x01\x08pypi.org\x02\x24'),
      Buffer.from(drawnFrom('<uuid>')),
      Buffer.from('\x00\x02\x10{"version": "1"}\x00\x00\x06\x20'),
      bytes(32),
    ]).toString('base64url')}`,
  ],
  'jsr-token': () => {
    const body = `jsrp_${drawnFrom('<an 29>')}`
    return [body + checksumOf(body)]
  },
  'packagist-token': () => {
    const body = `packagist_uut_${drawnFrom('<hex 60>')}`
    return [body + crc32(body).toString(16).padStart(8, '0')]
  },
  'wireguard-private-key': () => {
    const key = bytes(32)
    key[0] = (key[0] ?? 0) & 248
    key[31] = ((key[31] ?? 0) & 127) | 64
    return [key.toString('base64')]
  },
  'age-secret-key': () => [ageKey('age-secret-key-')],
  'age-post-quantum-key': () => [ageKey('age-secret-key-pq-')],
}

const bech32 = 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L'

function ageKey(name: string): string {
  const prefix = Array.from(name, (char) => char.charCodeAt(0))
  const data = Array.from({ length: 52 }, () => below(32))
  const head = [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...data]
  const rest = bech32Remainder([...head, 0, 0, 0, 0, 0, 0]) ^ 1
  const sum = Array.from({ length: 6 }, (_, at) => (rest >> (5 * (5 - at))) & 31)
  return `${name.toUpperCase()}1${[...data, ...sum].map((number) => bech32.charAt(number)).join('')}`
}

const validOf = (row: Row): string[] => issued[row.rule]?.() ?? formsOf(row).map((form) => drawnFrom(form))

/** The ways in which a value of the row stands in files, as [text, file]. */
function placesOf(row: Row, value: string): [string, string][] {
  const name = row.after?.[0]
  if (name === undefined) {
    return [
      [value, 'notes.txt'],
      [`x = '${value}'\n`, 'a.py'],
      [`first\n"${value}",\nlast`, 'a.json'],
      [`curl -H "Authorization: Bearer ${value}" https://shop.internal/`, 'run.sh'],
    ]
  }
  const key = /^[\w-]+$/.test(name) ? `${name.replace(/[-_]$/, '')}_key` : `${name}_key`
  return [
    [`${key.toUpperCase()}=${value}\n`, '.env'],
    [`{ "${key}": "${value}" }`, 'a.json'],
    [`const ${key} = '${value}'`, 'a.ts'],
    [`${name}:\n  api_token: ${value}\n`, 'a.yaml'],
    [`${name}({ token: "${value}" })`, 'a.js'],
    [`run --${key} ${value} now`, 'run.sh'],
  ]
}

for (const row of rows) {
  test(`DISC-2: ${row.rule} is found${row.after ? ` after ${row.after[0]}` : ''}`, () => {
    for (const value of validOf(row)) {
      for (const [text, file] of placesOf(row, value)) {
        const hits = found(text, file)
        const hit = hits.find((each) => each.value === value)
        assert.ok(hit, `${text.replaceAll(value, '<value>')}: saw ${hits.map((each) => each.rule)}`)
        assert.equal(hit.rule, row.rule, text.replaceAll(value, '<value>'))
        assert.notEqual(hit.confidence, row.confidence === 'low' ? 'high' : 'low')
      }
    }
  })
}

test('DISC-2: of dozens of values that a row draws, one at most is taken for made up', () => {
  for (const row of rows) {
    const values = Array.from({ length: 12 }, () => validOf(row)).flat()
    const missed = values.filter((value) => {
      const [text, file] = placesOf(row, value)[0] ?? ['', '']
      return !found(text, file).some((hit) => hit.value === value)
    })
    assert.ok(missed.length <= 1, `${row.rule}: ${missed.length} of ${values.length} are not found`)
  }
})

const shapesOf = (row: Row): RegExp[] =>
  formsOf(row).map(
    (form) =>
      new RegExp(
        `^${partsOf(form)
          .map((part) => sourceOf(part))
          .join('')}$`,
      ),
  )

/** What is nearly of a row's form: one letter short or too many, one letter from another alphabet. */
function nearlyOf(row: Row): string[] {
  const near = formsOf(row).flatMap((form) => {
    const parts = partsOf(form)
    const value = exampleOf(form, below)
    if (parts.some((part) => part.kind === 'drawn' && part.least < part.most)) return []
    const at = value.length - 1 - below(Math.min(6, value.length - 1))
    return [value.slice(0, -1), `${value}a`, `${value.slice(0, at)}!${value.slice(at + 1)}`]
  })
  // Not what is of another form of the row, nor what begins with one.
  const shapes = shapesOf(row)
  return near.filter(
    (value) =>
      !shapes.some((shape) => [0, -1, -2].some((end) => shape.test(value.slice(0, end || undefined)))),
  )
}

test('DISC-2: what is a letter short, a letter too long or has a letter of another alphabet is not found', () => {
  let tried = 0
  for (const row of rows) {
    for (const value of nearlyOf(row)) {
      for (const [text, file] of placesOf(row, value)) {
        tried++
        const hit = found(text, file).find(
          (each) => each.rule === row.rule && each.value.length >= value.length - 1,
        )
        assert.equal(
          hit,
          undefined,
          `${row.rule} found ${value.length} characters, nearly ${String(row.form)}, in ${file}`,
        )
      }
    }
  }
  assert.ok(tried > 3000, `${tried}`)
})

test('DISC-2: a form filled with one letter, with x, counted up, or with the word example is not found', () => {
  const counting = (form: string): string => {
    let next = 0
    return exampleOf(form, (limit) => next++ % limit)
  }
  for (const row of rows) {
    for (const form of formsOf(row)) {
      const value = exampleOf(form, below)
      const third = Math.ceil(value.length / 3)
      const filled = [
        exampleOf(form, () => 0),
        exampleOf(form, (limit) => limit - 1),
        value.slice(0, third) + 'x'.repeat(value.length - third),
        `${value.slice(0, third)}example${value.slice(third + 7)}`,
        ...(partsOf(form).some((part) => part.kind === 'drawn' && part.least >= 20) ? [counting(form)] : []),
      ]
      for (const text of filled.flatMap((each) => placesOf(row, each))) {
        const hit = found(...text).find((each) => each.rule === row.rule && each.confidence !== 'low')
        assert.equal(hit, undefined, `${row.rule}: ${form} in ${text[0]}`)
      }
    }
  }
})

test('DISC-2: a wrong checksum or a broken structure leaves only a hint', () => {
  for (const [rule, make] of Object.entries(issued)) {
    if (rule === 'aws-access-key-id' || rule === 'wireguard-private-key') continue
    const value = make().at(-1) ?? ''
    // The last letter may hold bits that are not used: the one before it is changed.
    const other = value.at(-2) === '2' ? '3' : '2'
    const hits = found(
      rule === 'pypi-token' ? value.slice(0, -4) : `${value.slice(0, -2)}${other}${value.slice(-1)}`,
    )
    assert.deepEqual(
      hits.map((hit) => [hit.rule, hit.confidence]),
      [[rule, 'low']],
    )
  }
})

test('DISC-2: an AWS key id outside of base 32, or with an account of thirteen digits, leaves only a hint', () => {
  for (const form of ['AKIA<b32 8>01<b32 6>', 'AKIA77<b32 14>']) {
    assert.deepEqual(
      found(drawnFrom(form)).map((hit) => hit.confidence),
      ['low'],
    )
  }
})

test('DISC-2: a key for an id, a name or an address of the provider holds no secret', () => {
  const id = drawnFrom('<uuid>')
  for (const text of [
    `HEROKU_APP_ID=${id}`,
    `snyk_project_id: ${id}`,
    `RAILWAY_SERVICE_NAME=${id}`,
    `see heroku, ${id}`,
  ]) {
    assert.deepEqual(found(text, '.env'), [])
  }
})

test('DISC-2: more than 250 services are known, each by a stable rule name', () => {
  assert.ok(new Set(detectors.map(({ provider }) => provider)).size >= 250)
  for (const { rule, provider } of detectors) {
    assert.match(rule, /^[a-z0-9]+(?:-[a-z0-9]+)+$/)
    assert.match(provider, /^[a-z0-9][a-z0-9.-]*$/)
  }
})

test('a form that nothing marks has to say after what it stands', () => {
  const row = { rule: 'a-key', provider: 'a', title: 'A', form: '<hex 32>' }
  assert.throws(() => detectorOf(row), /no mark/)
  assert.throws(() => partsOf('a_<octal 8>'), /no alphabet is called octal/)
})
