import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { cleanUp } from '../../test/support/clean-up.ts'
import { createDraws } from '../../test/support/draws.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import type { Durability } from '../store/index.ts'
import { openFileJournal } from './index.ts'

const ringBytes = 2 * 1024 * 1024

function openJournal(
  t: TestContext,
  { file = join(temporaryFolder(t), 'audit.journal'), mode = 'disk' } = {},
) {
  const journal = openFileJournal(file, mode as Durability)
  let open = true
  const close = (): void => {
    if (open) journal.close()
    open = false
  }
  cleanUp(t, close)
  return { journal, file, close }
}

/** Writes texts from `from` on; returns where each of them begins, and the end. */
function written(
  journal: ReturnType<typeof openFileJournal>,
  from: number,
  texts: readonly string[],
): number[] {
  const places = [from]
  for (const text of texts) {
    const position = journal.write(text)
    assert.ok(position !== undefined)
    places.push(position)
  }
  return places
}

test('GOV-1: the journal is its owner’s alone and never grows', async (t) => {
  const { journal, file } = openJournal(t)
  journal.start(0)
  for (let i = 0; i < 100; i++) {
    const position = journal.write('x'.repeat(100_000))
    assert.ok(position !== undefined)
    journal.release(position)
  }
  await journal.sync()
  assert.deepEqual([statSync(file).size, statSync(file).mode & 0o777], [ringBytes, 0o600])
})

test('GOV-1: frames come back whole and in order, wherever they lie, and none of those released', (t) => {
  const draws = createDraws('journal round')
  const { journal, file } = openJournal(t)
  journal.start(0)
  const kept: { text: string; from: number }[] = []
  let from = 0
  for (let i = 0; i < 400; i++) {
    const text = `${i} ${draws.text(1 + draws.below(20))} ü😀 ${'–'.repeat(draws.below(30_000))}`
    for (let end = journal.write(text); ; end = journal.write(text)) {
      if (end !== undefined) {
        kept.push({ text, from })
        from = end
        break
      }
      kept.shift()
      journal.release(kept[0]?.from ?? from)
    }
    if (i % 20 !== 0) continue
    const again = openJournal(t, { file })
    const [first] = kept
    assert.deepEqual(
      again.journal.recover(first?.from ?? 0),
      kept.map(({ text: whole }) => whole),
    )
    assert.deepEqual([...journal.read(first?.from ?? 0, from)], again.journal.recover(first?.from ?? 0))
    again.close()
  }
})

for (const mode of ['disk', 'kernel'])
  test(`GOV-1: a last frame that did not get to the ${mode} whole is left out, wherever it breaks off`, (t) => {
    const { journal, file, close } = openJournal(t, { mode })
    journal.start(0)
    const [, , last = 0, end = 0] = written(journal, 0, ['one\n', 'two\n', 'three\n'])
    close()
    const whole = readFileSync(file)
    for (let cut = last; cut < end; cut++) {
      const torn = Buffer.from(whole)
      torn.fill(0, cut, end)
      writeFileSync(file, torn)
      const again = openJournal(t, { file, mode })
      assert.deepEqual(again.journal.recover(0), ['one\n', 'two\n'], `cut at ${cut - last}`)
      again.close()
    }
  })

test('GOV-1: what is missing before an entry that was promised the disk is told as damage, and left as it is', (t) => {
  const { journal, file, close } = openJournal(t)
  journal.start(0)
  const [, second = 0, third = 0] = written(journal, 0, ['one\n', 'two\n', 'three\n'])
  close()
  const whole = readFileSync(file)
  for (let at = second; at < third; at++) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    writeFileSync(file, damaged)
    const again = openJournal(t, { file })
    assert.throws(() => again.journal.recover(0), { code: 'audit.broken' }, `altered at ${at - second}`)
    again.close()
    assert.deepEqual(readFileSync(file), damaged)
  }
})

test('GOV-1: with the kernel’s promise a power cut may lose a frame and keep a later one; those before it come back', (t) => {
  const { journal, file, close } = openJournal(t, { mode: 'kernel' })
  journal.start(0)
  const [, second = 0] = written(journal, 0, ['one\n', 'two\n', 'three\n'])
  close()
  const damaged = readFileSync(file)
  damaged[second + 5] = 99
  writeFileSync(file, damaged)
  assert.deepEqual(openJournal(t, { file, mode: 'kernel' }).journal.recover(0), ['one\n'])
})

test('GOV-1: after a new start nothing old is read again, also where new frames end as old ones did', (t) => {
  const { journal, file, close } = openJournal(t)
  journal.start(0)
  written(journal, 0, ['one\n', 'two\n', 'six\n'])
  close()
  const again = openJournal(t, { file })
  const next = again.journal.after(0)
  again.journal.start(next)
  written(again.journal, next, ['new\n'])
  assert.deepEqual(again.journal.recover(next), ['new\n'])
})

test('GOV-1: without room nothing is written until something is released', (t) => {
  const { journal } = openJournal(t)
  journal.start(0)
  const ends: number[] = []
  for (
    let end = journal.write('x'.repeat(100_000));
    end !== undefined;
    end = journal.write('x'.repeat(100_000))
  )
    ends.push(end)
  assert.equal(ends.length, 20)
  journal.check()
  assert.equal(journal.recover(0).length, 20)
  journal.release(ends[0] ?? 0)
  assert.ok(journal.write('y'.repeat(100_000)))
  assert.equal(journal.recover(ends[0] ?? 0).length, 20)
})

test('GOV-1: what is no journal is told, not written over', (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'audit.journal')
  writeFileSync(file, '')
  assert.throws(() => openFileJournal(file, 'disk'), { code: 'audit.broken' })
  assert.equal(statSync(file).size, 0)
  rmSync(file)
  mkdirSync(file)
  assert.throws(() => openFileJournal(file, 'disk'), { code: 'audit.unavailable' })
})

test('GOV-1: a journal that loses its bytes while it is in use is told', (t) => {
  const { journal, file } = openJournal(t)
  journal.start(0)
  const [, end = 0] = written(journal, 0, ['one\n'])
  const copy = `${file}.copy`
  copyFileSync(file, copy)
  writeFileSync(file, Buffer.alloc(ringBytes))
  assert.throws(() => [...journal.read(0, end)], { code: 'store.corrupt' })
  truncateSync(file, 10)
  assert.throws(() => [...journal.read(0, end)], { code: 'store.unavailable' })
})
