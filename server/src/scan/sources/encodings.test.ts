import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { encodingOf } from '../archive/contents-kind.ts'
import type { RawFinding } from '../finding.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('encodings')
const scanner = createScanner({ fingerprintKey: draws.bytes(32), threads: 'never' })
const token = draws.vaultToken()

async function scanned(t: TestContext, name: string, bytes: Buffer): Promise<RawFinding[]> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-encodings-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await writeFile(join(root, name), bytes)
  const findings: RawFinding[] = []
  for await (const event of scanner.directory(root))
    if (event.kind === 'finding') findings.push(event.finding)
  return findings
}

const little = (text: string): Buffer => Buffer.from(text, 'utf16le')
const big = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16()

for (const [name, encode, encoding] of [
  ['UTF-16 without a mark, the low byte first', little, 'utf16le'],
  ['UTF-16 without a mark, the high byte first', big, 'utf16be'],
  ['UTF-16 with a mark', (text: string) => little(`\ufeff${text}`), 'utf16le'],
] as const) {
  test(`DISC-1: ${name} is text, and its places are bytes of the file`, async (t) => {
    const bytes = encode(`# grüße\r\nTOKEN=${token}\r\n`)
    assert.equal(encodingOf(bytes), encoding)
    const [finding, ...others] = await scanned(t, 'a.env', bytes)
    assert.deepEqual(others, [])
    assert.equal(finding?.value.reveal(), token)
    assert.deepEqual([finding?.place.line, finding?.place.encoding], [2, encoding])
    assert.deepEqual(
      bytes.subarray(finding?.place.start, finding?.place.end),
      encode(token).subarray(-2 * token.length),
    )
    assert.equal(scanner.contents(bytes, 'a.env')[0]?.place.start, finding?.place.start)
  })
}

test('DISC-1: programs, numbers and short files are not taken for UTF-16', () => {
  for (const bytes of [
    Buffer.alloc(600),
    little('ab'),
    Buffer.from(new Uint16Array([1, 2, 3, 4, 5, 6, 7, 8, 9]).buffer),
    Buffer.from('plain text of some length'),
  ])
    assert.equal(encodingOf(bytes), 'utf8')
})

test('DISC-1: a token that a program keeps as UTF-16 is found between its other bytes, where it stands', async (t) => {
  const before = Buffer.concat([Buffer.from([0x4d, 0x5a, 0x90, 0, 3]), draws.bytes(4001), Buffer.alloc(3)])
  const bytes = Buffer.concat([
    before,
    little(token),
    Buffer.alloc(9),
    little('a label of the program'),
    draws.bytes(99),
  ])
  const [finding, ...others] = await scanned(t, 'a.dll', bytes)
  assert.deepEqual(others, [])
  assert.equal(finding?.value.reveal(), token)
  assert.deepEqual([finding?.place.wrapping, finding?.place.start], ['binary', before.length])
  assert.deepEqual(bytes.subarray(finding?.place.start, finding?.place.end), little(token))
})

test('DISC-1: a password in Windows-1252 has its own letters, and its place', async (t) => {
  const password = 'Tür€nschlüssel77'
  const before = Buffer.from('# gr\xfc\xdfe\npassword: "', 'latin1')
  const bytes = Buffer.concat([
    before,
    Buffer.from(password.replace('€', '\x80'), 'latin1'),
    Buffer.from('"\n'),
  ])
  const [finding] = await scanned(t, 'a.yaml', bytes)
  assert.equal(finding?.value.reveal(), password)
  assert.deepEqual([finding?.place.start, finding?.place.end], [before.length, bytes.length - 2])
})

test('DISC-1: a letter of two bytes, of which one would be a blank, does not end a password', async (t) => {
  const password = 'voilà2019!Käse'
  for (const text of [`password: ${password}\n`, `password: "${password}"\n`]) {
    const [finding] = await scanned(t, 'a.yaml', Buffer.from(text))
    assert.equal(finding?.value.reveal(), password)
  }
})
