/**
 * A process that finishes what an earlier one left, then begins a run and kills itself at the n-th boundary of it.
 *   node killed-engine.ts <data folder> <n>
 * Prints what it found before it begins, as one line of JSON; ends with code 0 when there was no n-th boundary.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from '../../src/store/index.ts'
import type { Action } from '../../src/workflow/index.ts'
import { noteEffect, openEffects } from './effects.ts'
import { createEngine, gate, olga, piet, planOf, task } from './engine.ts'

const [dataDir = '', nth = '0'] = process.argv.slice(2)
let armed = false
let left = Number(nth)

function boundary(name: string): void {
  if (!armed || --left > 0) return
  appendFileSync(join(dataDir, 'killed-at.txt'), `${name}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const { world, count, close } = await openEffects(dataDir)
const { store, bus } = world

/** Lends while it runs, and writes its effect with its completion. */
const lending: Action = {
  name: 'test.note',
  idempotent: true,
  preview: async (args) => args,
  async execute({ idempotencyKey }) {
    await store.write((tx) =>
      tx.run(sql`insert into open_leases (id) values (${idempotencyKey}) on conflict do nothing`),
    )
    boundary('lent')
    return {
      output: idempotencyKey,
      commit: (tx) => noteEffect(tx, idempotencyKey),
    }
  },
  async ended(tx, { runId, taskId }) {
    await tx.run(sql`delete from open_leases where id = ${`${runId}:${taskId}`}`)
  },
}

const { workflow, approvals, stop } = createEngine(world, { actions: [lending], onBoundary: boundary })

async function answerAll(): Promise<void> {
  for (const { id, digest } of (await approvals.page({ limit: 500, state: 'pending' })).items) {
    boundary('answering')
    await approvals.approve(piet, id, { digest })
    boundary('answered')
  }
}
bus.subscribe(({ type }) => {
  if (type === 'approval.requested') void answerAll()
})

await workflow.run()
await approvals.run()
await answerAll()
const { items: runs } = await workflow.page({ limit: 500 })
await Promise.all(runs.map(({ id }) => workflow.whenEnded(id)))
const states = (await workflow.page({ limit: 500 })).items.map(({ state }) => state)
process.stdout.write(
  `${JSON.stringify({
    runs: states.length,
    succeeded: states.filter((state) => state === 'Succeeded').length,
    effects: await count(sql`select count(*) as n from effects`),
    repeatedEffects: await count(sql`select count(*) as n from effects where times > 1`),
    openLeases: await count(sql`select count(*) as n from open_leases`),
    approvals: await count(sql`select count(*) as n from approvals`),
    redeemed: await count(sql`select count(*) as n from approvals where redeemed_at is not null`),
  })}\n`,
)

armed = left > 0
if (armed) {
  const plan = planOf(
    task('a'),
    task('b', { needs: ['a'], approval: gate }),
    task('c', { needs: ['b'] }),
    task('d', { needs: ['b'] }),
  )
  const { id } = await workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
  boundary('begun')
  await workflow.whenEnded(id)
}
armed = false
await stop()
await close()
