// Key stores, built here entry by entry: none holds a key that opens anything.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { createScanner } from './scan.ts'

const draws = createDraws('key stores')
const scanner = createScanner({ fingerprintKey: draws.bytes(32), threads: 'never' })

async function told(t: TestContext, bytes: Buffer): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-stores-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await writeFile(join(root, 'a.store'), bytes)
  const seen: string[] = []
  for await (const event of scanner.directory(root)) {
    if (event.kind !== 'finding') continue
    const { rule, confidence, value, place } = event.finding
    assert.equal(value.reveal(), bytes.toString('base64'))
    assert.deepEqual([place.start, place.end, place.wrapping], [0, bytes.length, 'binary'])
    assert.deepEqual(
      scanner.contents(bytes, 'a.store').map((each) => each.fingerprint),
      [event.finding.fingerprint],
    )
    seen.push(`${rule} ${confidence}`)
  }
  return seen
}

const number = (value: number, bytes = 4): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}
const name = (text: string): Buffer => Buffer.concat([number(text.length, 2), Buffer.from(text)])
const bytesOf = (bytes: Buffer): Buffer => Buffer.concat([number(bytes.length), bytes])
const certificate = (): Buffer => Buffer.concat([name('X.509'), bytesOf(draws.bytes(300))])
const trusted = (alias: string): Buffer =>
  Buffer.concat([number(2), name(alias), Buffer.alloc(8), certificate()])
const owned = (alias: string): Buffer =>
  Buffer.concat([
    number(1),
    name(alias),
    Buffer.alloc(8),
    bytesOf(draws.bytes(500)),
    number(1),
    certificate(),
  ])
const javaStore = (...entries: Buffer[]): Buffer =>
  Buffer.concat([number(0xfeedfeed), number(2), number(entries.length), ...entries, draws.bytes(20)])

test('DISC-2: a key store of Java is found when a private key is in it, not when it lists who is trusted', async (t) => {
  assert.deepEqual(await told(t, javaStore(trusted('a'), owned('b'))), ['key-store medium'])
  assert.deepEqual(await told(t, javaStore(trusted('a'), trusted('b'))), [])
  for (const length of [13, 40, 200])
    assert.deepEqual(await told(t, javaStore(trusted('a')).subarray(0, length)), [])
})

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, 0x82]), number(body.length, 2), body])
}
const dataType = Buffer.from('06092a864886f70d010701', 'hex')
const bag = (kind: number): Buffer =>
  Buffer.from([6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 12, 10, 1, kind])
const pkcs12 = (...parts: Buffer[]): Buffer =>
  der(
    0x30,
    Buffer.from([2, 1, 3]),
    der(0x30, dataType, der(0xa0, ...parts, Buffer.alloc(4), draws.bytes(400))),
  )

test('DISC-2: a PKCS #12 store is found by the key in it, and is surer when the key is in the clear', async (t) => {
  assert.deepEqual(await told(t, pkcs12(bag(2))), ['key-store medium'])
  assert.deepEqual(await told(t, pkcs12(bag(1))), ['key-store high'])
  assert.deepEqual(await told(t, pkcs12(bag(3))), [], 'certificates only')
})

test('DISC-2: a private key in DER is found, a public one and other sequences are not', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  assert.deepEqual(await told(t, privateKey), ['private-key high'])
  assert.deepEqual(await told(t, publicKey), [])
  assert.deepEqual(await told(t, der(0x30, draws.bytes(500))), [])
})
