import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createDraws } from '../../../test/support/draws.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('decode')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })
const newToken = draws.vaultToken
const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')
const hex = (text: string | Buffer): string => Buffer.from(text).toString('hex')

type Told = { value: string; wrapping: string; outer: string; line: number }
const found = (text: string, file = 'a.txt'): Told[] =>
  scanner.contents(Buffer.from(text), file).map(({ value, place }) => ({
    value: value.reveal(),
    wrapping: place.wrapping,
    outer: Buffer.from(text).toString('utf8', place.start, place.end),
    line: place.line,
  }))

const encodings: Record<string, (text: string) => string> = {
  base64,
  hex,
  'base64 of base64': (text) => base64(base64(text)),
  'hex of base64 of hex': (text) => hex(base64(hex(text))),
  'base64 of gzip': (text) => base64(gzipSync(text)),
  'base64 of base64 of gzip': (text) => base64(base64(gzipSync(text))),
  'base64 of UTF-16': (text) => base64(Buffer.from(text, 'utf16le')),
}

for (const [name, encode] of Object.entries(encodings)) {
  test(`DISC-2: a token is found in ${name}, at the bytes that stand in the file`, () => {
    const value = newToken()
    const encoded = encode(`const key = "${value}"\n`)
    const [first, ...others] = found(`one\ndata: ${encoded}\nthree\n`)
    assert.deepEqual([first?.value, first?.outer, first?.line, others.length], [value, encoded, 2, 0])
    assert.notEqual(first?.wrapping, 'none')
  })
}

test('DISC-2: every value of one encoded text is found', () => {
  const values = [newToken(), newToken(), newToken()]
  const seen = found(`data: ${base64(values.join('\n'))}\n`).map(({ value }) => value)
  assert.deepEqual(seen.sort(), values.sort())
})

test('DISC-2: base64 in lines is one text', () => {
  const value = newToken()
  const lines = base64(`${'nothing to see here, '.repeat(8)}${value}`).replace(/(.{64})/g, '$1\r\n    ')
  assert.deepEqual(
    found(`data: |\n    ${lines}\n`).map((one) => one.value),
    [value],
  )
})

test('DISC-2: percent escapes are undone, and the place is the value alone', () => {
  const password = `${draws.hex(9)}Qx/`
  const address = `postgres://shop:${encodeURIComponent(password)}@db.internal:5432/shop`
  const [first] = found(`GET /go?to=${encodeURIComponent(address)}&from=here`)
  assert.deepEqual(
    [first?.value, first?.wrapping, first?.outer],
    [address, 'url', encodeURIComponent(address)],
  )
})

test('DISC-2: four encodings deep is deeper than anybody looks, and a bomb is not unpacked', () => {
  assert.deepEqual(found(base64(base64(base64(base64(newToken()))))), [])
  const bomb = gzipSync(`${' '.repeat(6e6)}${newToken()}`)
  assert.deepEqual(found(base64(bomb)), [])
})

test('DISC-2: hashes, names, paths and pictures are no encodings of anything', () => {
  const harmless = [
    hex(draws.bytes(32)),
    base64(draws.bytes(300)),
    'src/components/shop/basket/the-basket-of-a-customer',
    `data:image/png;base64,${base64(Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47]), draws.bytes(90)]))}`,
  ]
  assert.deepEqual(found(harmless.join('\n')), [])
})
