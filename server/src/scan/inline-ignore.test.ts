import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { detectors } from './detectors/index.ts'
import { createEngine } from './engine.ts'

const draws = createDraws('inline ignore')
const engine = createEngine({ detectors, fingerprintKey: draws.bytes(32), today: () => '2026-11-21' })
const value = draws.vaultToken()
const found = (comment: string): number =>
  engine.detect({ bytes: Buffer.from(`a\nconst t = '${value}' // ${comment}\nb\n`), file: 'a.ts' }).length

for (const comment of [
  'keyward:ignore',
  'keyward:ignore made up for the manual',
  'keyward:ignore[vault-token] made up',
  'keyward:ignore[other, vault-token]',
  'keyward:ignore until=2026-11-21 rotated then',
  'keyward:ignore[vault-token] until=2999-01-01',
]) {
  test(`DISC-3: "${comment}" hides a value on its line`, () => assert.equal(found(comment), 0))
}

for (const comment of [
  'keyward',
  'keyward:ignore[other]',
  'keyward:ignore until=2026-11-20 rotated then',
  'keyward:ignore until=soon',
  'keyward:ignore[vault-token] until=2020-01-01',
]) {
  test(`DISC-3: "${comment}" hides nothing`, () => assert.equal(found(comment), 1))
}

test('DISC-3: a comment on another line hides nothing', () => {
  const bytes = Buffer.from(`// keyward:ignore\nconst t = '${value}'\n// keyward:ignore\n`)
  assert.equal(engine.detect({ bytes, file: 'a.ts' }).length, 1)
})
