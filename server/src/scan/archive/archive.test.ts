import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { createDraws } from '../../../test/support/draws.ts'
import { zipOf } from '../../../test/support/zip-of.ts'
import type { RawFinding } from '../finding.ts'
import { createScanner } from '../scan.ts'
import { archiveProblem, filesInside, limitsFor } from './look-inside.ts'

const draws = createDraws('archive')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })
const newToken = draws.vaultToken

async function folder(t: TestContext, files: Record<string, string | Buffer>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-archive-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), contents)
  }
  return root
}

async function tarOf(t: TestContext, files: Record<string, string | Buffer>): Promise<Buffer> {
  const root = await folder(t, files)
  return execFileSync('tar', ['-C', root, '-cf', '-', ...Object.keys(files)], { maxBuffer: 64e6 })
}

type Seen = { findings: RawFinding[]; problems: string[] }

async function scanned(root: string): Promise<Seen> {
  const seen: Seen = { findings: [], problems: [] }
  for await (const event of scanner.directory(root)) {
    if (event.kind === 'finding') seen.findings.push(event.finding)
    if (event.kind === 'problem') seen.problems.push(`${event.file}: ${event.reason}`)
  }
  return seen
}

const told = ({ findings }: Seen): string[] =>
  findings.map(({ place, value }) => `${place.file}:${place.line} ${value.reveal()}`)

test('DISC-1: zip, jar, tar, tgz, gz and zst are looked through, and places name what lies inside', async (t) => {
  const value = newToken()
  const tar = await tarOf(t, { 'app/a.env': `x=1\nV=${value}\n` })
  const root = await folder(t, {
    'a.zip': zipOf({ 'in/a.env': `V=${value}\n`, 'empty/': '' }),
    'b.jar': zipOf({ 'b.properties': `v=${value}\n` }, { method: 0 }),
    'c.tar': tar,
    'd.tgz': gzipSync(tar),
    'e.log.gz': gzipSync(`one\ntwo ${value}\n`),
    'f.tar.zst': zstdCompressSync(tar),
    'g.txt': gzipSync(zipOf({ 'deep.env': value })),
  })
  const seen = await scanned(root)
  assert.deepEqual(told(seen), [
    `a.zip!in/a.env:1 ${value}`,
    `b.jar!b.properties:1 ${value}`,
    `c.tar!app/a.env:2 ${value}`,
    `d.tgz!app/a.env:2 ${value}`,
    `e.log.gz!e.log:2 ${value}`,
    `f.tar.zst!app/a.env:2 ${value}`,
    `g.txt!deep.env:1 ${value}`,
  ])
  assert.deepEqual(seen.problems, [])
  assert.ok(seen.findings.every(({ place }) => place.wrapping === 'archive'))
})

test('DISC-1: a saved image is looked through with its configuration and every layer', async (t) => {
  const [inLayer, inConfiguration] = [newToken(), newToken()]
  const layer = await tarOf(t, { 'app/.env': `TOKEN=${inLayer}\n`, 'app/.wh.old': '' })
  const image = await tarOf(t, {
    'blobs/sha256/aa': gzipSync(layer),
    'blobs/sha256/bb': JSON.stringify({ config: { Env: [`TOKEN=${inConfiguration}`] } }),
    'index.json': '{}',
  })
  const seen = await scanned(await folder(t, { 'image.tar': image }))
  assert.deepEqual(told(seen), [
    `image.tar!blobs/sha256/aa!app/.env:1 ${inLayer}`,
    `image.tar!blobs/sha256/bb:1 ${inConfiguration}`,
  ])
})

test('DISC-1: long names, names that lead elsewhere, and files larger than a window', async (t) => {
  const value = newToken()
  const long = `${'folder-with-a-long-name/'.repeat(9)}a.env`
  const large = `${'lorem ipsum dolor\n'.repeat(500_000)}${value}\n`
  for (const format of ['gnu', 'pax', 'ustar']) {
    const source = await folder(t, { [long]: value, 'large.txt': large })
    const tar = execFileSync('tar', ['-C', source, `--format=${format}`, '-czf', '-', long, 'large.txt'])
    const seen = await scanned(await folder(t, { 'a.tgz': tar }))
    assert.deepEqual(told(seen), [`a.tgz!${long}:1 ${value}`, `a.tgz!large.txt:500001 ${value}`])
    const place = seen.findings[1]?.place
    assert.equal(large.slice(place?.start, place?.end), value)
  }
  const seen = await scanned(await folder(t, { 'b.zip': zipOf({ '../../etc/a.env': value }) }))
  assert.deepEqual(told(seen), [`b.zip!etc/a.env:1 ${value}`])
})

test('DISC-1: what cannot be opened, or is damaged, is a problem and not the end', async (t) => {
  const value = newToken()
  const whole = gzipSync(draws.bytes(100_000))
  const root = await folder(t, {
    'a.zip': zipOf({ 'a.env': value }, { flags: 1 }),
    'b.gz': whole.subarray(0, 50_000),
    'c.zip': zipOf({ 'a.env': value }).subarray(0, 60),
    'd.env': value,
  })
  const { problems, findings } = await scanned(root)
  assert.deepEqual(problems, [
    'a.zip: 1 files in it are encrypted, or packed in a way that is not known here',
    'b.gz: the archive cannot be read to its end: unexpected end of file',
    'c.zip: the archive cannot be read to its end: the archive has no directory',
  ])
  assert.equal(findings.length, 1)
})

const inMemory = (bytes: Buffer) => ({
  sizeBytes: bytes.length,
  read: (at: number, length: number) => bytes.subarray(at, at + length),
})

test('DISC-1: an archive made to harm ends at its limits, and is told', async () => {
  const ended = async (bytes: Buffer, change: Partial<ReturnType<typeof limitsFor>>): Promise<string> => {
    try {
      for await (const met of filesInside('a', inMemory(bytes), { ...limitsFor(bytes.length), ...change })) {
        if ('problem' in met) return met.problem
        for await (const _ of met.body);
      }
    } catch (error) {
      return archiveProblem(error)
    }
    return 'nothing'
  }
  const zeros = Buffer.alloc(20e6)
  assert.match(await ended(gzipSync(zeros), { unpackedBytes: 5e6 }), /^it unpacks to more than 5 MB/)
  assert.match(await ended(zipOf({ a: zeros }), { unpackedBytes: 5e6 }), /^it unpacks to more than 5 MB/)
  assert.match(await ended(zipOf({ a: '', b: '', c: '' }), { entries: 2 }), /^it holds more than 2 files/)
  let nested = gzipSync('x')
  for (let i = 0; i < 9; i++) nested = gzipSync(nested)
  assert.match(await ended(nested, {}), /^archives lie in it more than 5 deep/)
  assert.match(
    await ended(gzipSync(zipOf({ a: draws.bytes(2000) })), { inMemoryBytes: 1000 }),
    /^a has to be read whole, and has more than 0.001 MB/,
  )
})

test('DISC-1: tokens in a program are found; pictures are passed over', async (t) => {
  const value = newToken()
  const program = Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0]),
    Buffer.from(`\0${value}\0password=hunter2xyz\0`),
  ])
  const picture = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0]), Buffer.from(value)])
  const root = await folder(t, { 'a.bin': program, 'b.png': picture })
  const { findings } = await scanned(root)
  assert.deepEqual(
    findings.map(({ place, value: found }) => [place.file, place.wrapping, found.reveal()]),
    [['a.bin', 'binary', value]],
  )
  assert.ok((await readFile(join(root, 'a.bin'))).includes(value))
})
