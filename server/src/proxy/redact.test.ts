import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '../core/index.ts'
import { createPatterns, createRedaction, formsOf, redactionMark, redactorOf, redactText } from './redact.ts'

const newValue = (): string =>
  `test/${randomBytes(9).toString('base64url')}+"${randomBytes(6).toString('hex')}&é`

function redacted(value: string, chunks: readonly Uint8Array[]): string {
  const redactor = createRedaction([new Secret(value)]).newRedactor()
  return Buffer.concat([...chunks.map((chunk) => redactor.push(chunk)), redactor.end()]).toString()
}

const ascii = (text: string): string => text.replaceAll('é', '\\u00e9')

const inPieces = (text: string, size: number): Buffer[] => {
  const bytes = Buffer.from(text)
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  )
}

test('LEND-2: a value is taken out however the stream is cut', () => {
  const value = newValue()
  const text = `before ${value} between ${value}${value} after`
  const wanted = `before ${redactionMark} between ${redactionMark}${redactionMark} after`
  for (let size = 1; size <= Buffer.byteLength(text); size++) {
    assert.equal(redacted(value, inPieces(text, size)), wanted, `pieces of ${size}`)
  }
})

test('LEND-2: the usual encodings of a value are taken out, byte by byte too', () => {
  const value = newValue()
  const bytes = Buffer.from(value)
  const written: Record<string, string> = {
    plain: value,
    hex: bytes.toString('hex'),
    HEX: bytes.toString('hex').toUpperCase(),
    url: encodeURIComponent(value),
    form: new URLSearchParams({ v: value }).toString().slice(2),
    'lower-case url': encodeURIComponent(value).replace(/%../g, (found) => found.toLowerCase()),
    'every byte as percent': bytes.toString('hex').replace(/../g, '%$&'),
    json: JSON.stringify(value).slice(1, -1),
    'json of PHP': JSON.stringify(value).slice(1, -1).replaceAll('/', '\\/'),
    'json in ASCII alone': ascii(JSON.stringify(value).slice(1, -1)),
    'json in ASCII alone, capital digits': ascii(JSON.stringify(value).slice(1, -1)).replace(
      '\\u00e9',
      '\\u00E9',
    ),
    'json of Go': JSON.stringify(value).slice(1, -1).replace('&', '\\u0026'),
    'json of PHP in ASCII alone': ascii(JSON.stringify(value).slice(1, -1).replaceAll('/', '\\/')),
    html: value.replace('&', '&amp;').replace('"', '&quot;'),
    'html of Go': value.replace('&', '&amp;').replace('"', '&#34;'),
    'html of templates': value.replace('&', '&amp;').replace('"', '&quot;').replaceAll('/', '&#x2F;'),
    reversed: [...value].reverse().join(''),
  }
  for (const [name, text] of Object.entries(written)) {
    assert.equal(redacted(value, [Buffer.from(`<${text}>`)]), `<${redactionMark}>`, name)
    assert.equal(redacted(value, inPieces(`<${text}>`, 1)), `<${redactionMark}>`, name)
  }
})

test('LEND-2: base64 is recognised at every alignment, leaving at most its border characters', () => {
  const value = newValue()
  for (const encoding of ['base64', 'base64url'] as const) {
    for (const prefix of ['', 'u', 'us', 'use', 'user:']) {
      const text = Buffer.from(`${prefix}${value}, and more`).toString(encoding)
      const out = redacted(value, inPieces(text, 7))
      const [before = '', after = ''] = out.split(redactionMark)
      assert.ok(out.includes(redactionMark), `${encoding} after ${prefix.length} bytes`)
      assert.ok(before.length <= Math.ceil((prefix.length * 8) / 6) + 1)
      assert.ok(after.length <= Math.ceil((', and more'.length * 8) / 6) + 2 + 2)
    }
  }
})

test('text that cannot become a value passes at once', () => {
  const redactor = createRedaction([new Secret('test-value-0123456789')]).newRedactor()
  assert.equal(redactor.push(Buffer.from('data: tick\n\n')).toString(), 'data: tick\n\n')
  assert.equal(redactor.push(Buffer.from('data: test-va')).toString(), 'data: ')
  assert.equal(redactor.push(Buffer.from('riant ')).toString(), 'test-variant ')
  assert.equal(redactor.redactions, 0)
})

test('overlapping occurrences of a value that repeats itself leave nothing of it', () => {
  const value = 'abcabcabc'
  for (const size of [1, 2, 5, 100]) {
    const out = redacted(value, inPieces(`<${'abc'.repeat(50)}>`, size))
    assert.doesNotMatch(out, /abc|bca|cab/)
    assert.match(out, /^<\[redacted by Keyward\]+/)
  }
})

test('a value whose beginning is another value is taken out whole', () => {
  const patterns = createPatterns(['test-value-one', 'test-value-one-and-more'])
  for (const size of [1, 3, 100]) {
    const redactor = redactorOf(patterns)
    const out = inPieces('a test-value-one-and-more b test-value-one c', size).map((piece) =>
      redactor.push(piece),
    )
    const text = Buffer.concat([...out, redactor.end()]).toString()
    assert.equal(text, `a ${redactionMark} b ${redactionMark} c`)
  }
})

test('a value lent while a stream is open is taken out of what follows', () => {
  const patterns = createPatterns()
  const redactor = redactorOf(patterns)
  assert.equal(redactor.push(Buffer.from('test-value-0123')).toString(), 'test-value-0123')
  patterns.add('test-value-0123')
  assert.equal(redactor.push(Buffer.from(' test-value-0123')).toString(), ` ${redactionMark}`)
})

test('a stream that ends in the middle of a value does not show the most of it', () => {
  assert.equal(redacted('test-value-0123456789', [Buffer.from('<test-value-012345678')]), `<${redactionMark}`)
  assert.equal(redacted('test-value-0123456789', [Buffer.from('<test-v')]), '<test-v')
})

test('the lines of a key file are taken out one by one', () => {
  const lines = [
    '-----BEGIN TEST KEY-----',
    randomBytes(40).toString('base64'),
    randomBytes(40).toString('base64'),
  ]
  const out = redacted(lines.join('\n'), [Buffer.from(`${lines[2]}\r\n${lines[1]}\r\n`)])
  assert.equal(out, `${redactionMark}\r\n${redactionMark}\r\n`)
})

test('random text around random values, cut at random, is otherwise unchanged', () => {
  const letters = 'ab{'
  const random = (length: number): string =>
    [...randomBytes(length)].map((byte) => letters[byte % 3]).join('')
  for (let round = 0; round < 300; round++) {
    const value = random(7)
    const text = random(120)
    const whole = redactText(createPatterns([value]), text)
    const pieces = redacted(value, inPieces(text, 1 + (round % 11)))
    assert.equal(pieces, whole, JSON.stringify({ value, text }))
    for (const form of formsOf(value)) assert.ok(!whole.includes(form), JSON.stringify({ value, text, form }))
  }
})
