// The example project holds exactly what its maker planted: every one is found, and nothing else.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { createDraws } from '../../test/support/draws.ts'
import { createScanner, formatFindings, formats, groupByFingerprint, type RawFinding } from './index.ts'

type Planted = { name: string; file: string; line: number; value: string; commit?: boolean }
type Make = (folder: string, options?: { seed?: string }) => { history: boolean; planted: Planted[] }

const maker = new URL('../../../examples/leaky-shop/make.mjs', import.meta.url)
const { makeLeakyShop } = (await import(maker.href)) as { makeLeakyShop: Make }
const scanner = createScanner({ fingerprintKey: createDraws('example').bytes(32) })

for (const seed of ['leaky-shop', 'a second shop', 'a third shop']) {
  test(`DISC-1: exactly the planted secrets of the leaky shop are found (seed ${seed})`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'keyward-shop-'))
    t.after(() => rm(root, { recursive: true, force: true }))
    const { planted, history } = makeLeakyShop(root, { seed })
    assert.ok(history && planted.length === 13)
    const findings: RawFinding[] = []
    for await (const event of scanner.project(root)) {
      assert.notEqual(event.kind, 'problem')
      if (event.kind === 'finding') findings.push(event.finding)
    }
    const groups = groupByFingerprint(findings)
    const places = groups.flatMap(({ value, places: all }) => {
      const [first] = all
      const shown = first?.commit ? [first] : all.filter(({ commit }) => commit === null)
      return shown.map(({ file, line }) => `${file}:${line} ${value.reveal()}`)
    })
    const expected = planted.map((each) => [`${each.file}:${each.line} `, each.value] as const)
    assert.equal(places.length, expected.length)
    for (const [place, value] of expected) {
      // An address is found whole, with its password in it.
      assert.ok(
        places.some((found) => found.startsWith(place) && found.includes(value)),
        place,
      )
    }
    assert.equal(groups.length, 12)
    for (const format of formats) {
      const text = formatFindings(format, groups)
      for (const { value, name } of planted) assert.ok(!text.includes(value), `${name} in ${format}`)
    }
  })
}

test('DISC-5: each planted value of the work tree can be located again in its file', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'keyward-shop-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  makeLeakyShop(root)
  for await (const event of scanner.directory(root)) {
    if (event.kind !== 'finding') continue
    const { place, fingerprint, value } = event.finding
    const bytes = await readFile(join(root, place.file))
    assert.deepEqual(scanner.locate(bytes, place.file, fingerprint), [place])
    assert.equal(bytes.subarray(place.start, place.end).toString(), value.reveal())
  }
})

test('the leaky shop will not be made over other files', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'keyward-shop-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  makeLeakyShop(root)
  assert.throws(() => makeLeakyShop(root), /is not empty/)
  assert.ok(pathToFileURL(root).href.startsWith('file:'))
})
