import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { createLedger } from './ledger.ts'
import type { Report } from './messages.ts'

const reportOf = (path: string): Report => ({
  sandboxId: 'sbx_1',
  host: 'api.example.test',
  port: 443,
  method: 'GET',
  path,
  status: 200,
  outcome: 'allowed',
  reason: null,
  leaseIds: [],
  placeholders: 0,
  bytesOut: 0,
  bytesIn: 0,
  redactions: 0,
})

/** A ledger before a server that answers when it is told to. */
function openLedger() {
  const asked: { path: string; answer(isWritten: boolean): void }[] = []
  const ledger = createLedger(
    ({ path }) => new Promise((resolve) => asked.push({ path, answer: (isWritten) => resolve(isWritten) })),
  )
  return { ledger, asked }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('GOV-1: what comes now waits for what was reported before, not for what is reported after', async () => {
  const { ledger, asked } = openLedger()
  void ledger.report(reportOf('/before'))
  let settled: boolean | undefined
  const settling = ledger.settle().then((is) => {
    settled = is
  })
  void ledger.report(reportOf('/after'))
  await turn()
  assert.equal(settled, undefined)
  asked[0]?.answer(true)
  await settling
  assert.equal(settled, true)
})

test('GOV-1: what could not be written is written once and in its order, however many wait for it', async () => {
  const { ledger, asked } = openLedger()
  void ledger.report(reportOf('/first'))
  void ledger.report(reportOf('/second'))
  for (const { answer } of asked) answer(false)
  await turn()
  const waiting = [ledger.settle(), ledger.settle(), ledger.settle()]
  for (let i = 2; i < 4; i++) {
    await turn()
    asked[i]?.answer(true)
  }
  assert.deepEqual(await Promise.all(waiting), [true, true, true])
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/first', '/second', '/first', '/second'],
  )
})

test('GOV-1: while it cannot be written, nobody is told that it was, and each one who comes tries again', async () => {
  const { ledger, asked } = openLedger()
  void ledger.report(reportOf('/lost'))
  for (const isWritten of [false, false, true]) {
    await turn()
    asked.at(-1)?.answer(isWritten)
    await turn()
    const settling = ledger.settle()
    if (isWritten) assert.equal(await settling, true)
  }
  assert.equal(asked.length, 3)
})

test('GOV-1: a report that may wait goes with the next request, which waits for it, or by itself', async () => {
  const { ledger, asked } = openLedger()
  ledger.reportSoon(reportOf('/first'))
  assert.equal(asked.length, 0)
  const settling = ledger.settle()
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/first'],
  )
  asked[0]?.answer(true)
  assert.equal(await settling, true)
  ledger.reportSoon(reportOf('/second'))
  await eventually(async () => asked.length === 2, 'the second report')
  ledger.reportSoon(reportOf('/third'))
  const draining = ledger.drain()
  for (const { answer } of asked) answer(true)
  await draining
  assert.equal(asked.length, 3, 'none is left behind at the end')
})
