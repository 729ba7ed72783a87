// Keys in the files of the programs that use them. All are made here; none opens anything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createEngine } from '../engine.ts'
import { detectors } from './index.ts'

const draws = createDraws('key files')
const engine = createEngine({ detectors, fingerprintKey: draws.bytes(32) })
const found = (text: string, file = 'a.txt'): string[] =>
  engine
    .detect({ bytes: Buffer.from(text), file })
    .map(({ rule, confidence, value }) => `${rule} ${confidence} ${value.reveal()}`)

const inLines = (bytes: Buffer, width: number): string =>
  bytes.toString('base64').replace(new RegExp(`.{${width}}(?=.)`, 'g'), '$&\n')

test('DISC-2: a private JSON Web Key is found by its private part, of any kind and in any order', () => {
  const part = (bytes: number): string => draws.bytes(bytes).toString('base64url')
  const keys = [
    { kty: 'EC', crv: 'P-256', x: part(32), y: part(32), d: part(32) },
    { kty: 'EC', crv: 'P-521', x: part(66), y: part(66), d: part(66) },
    { kty: 'OKP', crv: 'Ed25519', x: part(32), d: part(32) },
    { kty: 'RSA', n: part(256), e: 'AQAB', d: part(255), p: part(128), q: part(128), qi: part(128) },
  ]
  for (const { kty, d, ...rest } of keys) {
    for (const text of [
      JSON.stringify({ kty, ...rest, d }),
      JSON.stringify({ keys: [{ d, ...rest, kty }] }, undefined, 2),
      JSON.stringify({ key: JSON.stringify({ ...rest, d, kty }) }),
    ])
      assert.deepEqual(found(text, 'jwks.json'), [`json-web-key high ${d}`], kty)
    assert.deepEqual(found(JSON.stringify({ kty, ...rest })), [], 'its public half')
  }
  const k = draws.bytes(32).toString('base64url')
  assert.deepEqual(found(JSON.stringify({ kty: 'oct', k, alg: 'HS256' })), [`json-web-key high ${k}`])
  assert.deepEqual(
    found(JSON.stringify({ kty: 'EC', d: draws.bytes(33).toString('base64url') })),
    [],
    'a length of no curve',
  )
})

const pemOf = (bytes: Buffer): string =>
  `-----BEGIN PRIVATE KEY-----\n${inLines(bytes, 64)}\n-----END PRIVATE KEY-----\n`

/** A sequence as long as it says. */
const sequence = (body: Buffer): Buffer => Buffer.concat([Buffer.from([0x30, 0x81, body.length]), body])

test('DISC-2: a PEM key whose bytes are no key is a hint only', () => {
  const key = pemOf(sequence(draws.bytes(135)))
  assert.deepEqual(found(key), [`private-key high ${key}`])
  const random = pemOf(Buffer.concat([Buffer.from([1]), draws.bytes(300)]))
  assert.deepEqual(found(random), [`private-key low ${random}`])
})

test('DISC-2: letters that a key holds by chance do not make it an example; words in its place do', () => {
  for (const word of ['xxxxyour', 'Example7', 'xxxxxxxx']) {
    const key = pemOf(
      sequence(Buffer.concat([draws.bytes(30), Buffer.from(word, 'base64'), draws.bytes(90)])),
    )
    assert.ok(key.replaceAll('\n', '').includes(word), word)
    assert.deepEqual(found(key), [`private-key high ${key}`])
  }
  for (const body of [
    'YOUR KEY HERE\nYOUR KEY HERE\nYOUR KEY HERE\nYOUR KEY HERE\n',
    `${draws.text(64)}\n...\n`,
  ])
    assert.deepEqual(found(`-----BEGIN PRIVATE KEY-----\n${body}-----END PRIVATE KEY-----\n`), [], body)
})

const putty = (encryption: string, lines: number): string =>
  `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: ${encryption}\nComment: a\nPublic-Lines: 1\n${draws.text(64)}\nPrivate-Lines: ${lines}\n${draws.text(64)}\n${draws.text(32)}\nPrivate-MAC: ${draws.hex(32)}`

test('DISC-2: a PuTTY key is as sure as its parts fit, and less so behind a passphrase', () => {
  for (const [encryption, lines, confidence] of [
    ['none', 2, 'high'],
    ['aes256-cbc', 2, 'medium'],
    ['none', 5, 'low'],
  ] as const) {
    const text = putty(encryption, lines)
    assert.deepEqual(found(`${text}\n`, 'a.ppk'), [`putty-private-key ${confidence} ${text}`])
  }
})

test('DISC-2: a key of SSH2 is told by the number that it begins with', () => {
  for (const [magic, confidence] of [
    [[0x3f, 0x6f, 0xf9, 0xeb], 'high'],
    [[1, 2, 3, 4], 'low'],
  ] as const) {
    const body = inLines(Buffer.concat([Buffer.from(magic), draws.bytes(200)]), 70)
    const text = `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "a"\n${body}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----`
    assert.deepEqual(found(`${text}\n`), [`ssh2-private-key ${confidence} ${text}`])
  }
})

test('DISC-2: an OpenVPN profile gives its key, its static key and its login', () => {
  const lines = Array.from({ length: 16 }, () => draws.hex(16)).join('\n')
  const key = `-----BEGIN OpenVPN Static key V1-----\n${lines}\n-----END OpenVPN Static key V1-----`
  const password = draws.text(14)
  const profile = `client\n<tls-auth>\n#\n${key}\n</tls-auth>\n<auth-user-pass>\nbob\n${password}\n</auth-user-pass>\n`
  assert.deepEqual(found(profile, 'a.ovpn'), [
    `openvpn-static-key high ${key}\n`,
    `openvpn-login high ${password}`,
  ])
  assert.deepEqual(
    found(profile.replace(lines.slice(0, 33), ''), 'a.ovpn').length,
    1,
    'a key of fifteen lines',
  )
})

test('DISC-2: a WireGuard key has the bits that its curve wants, a preshared one need not', () => {
  const clamped = draws.bytes(32)
  clamped[0] = (clamped[0] ?? 0) & 248
  clamped[31] = ((clamped[31] ?? 0) & 127) | 64
  const other = Buffer.from(clamped)
  other[0] = (other[0] ?? 0) | 1
  const told = (key: string, bytes: Buffer): string[] =>
    found(`[Interface]\n${key} = ${bytes.toString('base64')}\n`, 'wg0.conf').map((each) =>
      each.split(' ').slice(0, 2).join(' '),
    )
  assert.deepEqual(told('PrivateKey', clamped), ['wireguard-private-key high'])
  assert.deepEqual(told('PrivateKey', other), ['wireguard-private-key low'])
  assert.deepEqual(told('PresharedKey', other), ['wireguard-private-key high'])
})

test('DISC-2: the certificate of a kubeconfig is no key', () => {
  const encoded = (name: string): string => {
    const bytes = Buffer.concat([Buffer.from([0x30, 0x82, 0, 200]), draws.bytes(200)])
    return Buffer.from(`-----BEGIN ${name}-----\n${inLines(bytes, 64)}\n-----END ${name}-----\n`).toString(
      'base64',
    )
  }
  const key = encoded('RSA PRIVATE KEY')
  assert.deepEqual(found(`    client-key-data: ${key}\n`, 'config').length, 1)
  assert.deepEqual(found(`    client-key-data: ${encoded('CERTIFICATE')}\n`, 'config'), [])
})
