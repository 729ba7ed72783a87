import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../src/core/index.ts'
import { type SqlValue, sql } from '../../src/store/index.ts'
import type { Action } from '../../src/workflow/index.ts'
import { type Engine, gate, olga, pendingApproval, piet, planOf, task } from './engine.ts'
import { eventually } from './eventually.ts'
import type { HostStage } from './host-suite.ts'
import type { World } from './world.ts'

type Row = { readonly [column: string]: SqlValue }
const tables = ['runs', 'run_tasks', 'approvals'] as const

/** The rows of one run in the middle, as a version of Keyward left them in SQLite. Times are milliseconds since 1970. */
export type StoredRun = {
  readonly recordedAt: number
  readonly rows: { readonly [table in (typeof tables)[number]]: readonly Row[] }
}

/** What versions of Keyward left behind. */
export const storedRuns = (): StoredRun[] =>
  globSync(join(import.meta.dirname, 'stored-runs', '*.json')).map((file) =>
    JSON.parse(readFileSync(file, 'utf8')),
  )

/** A run with a task of each kind of waiting: done, asked about, between two attempts, at work, one of a list, and not yet due. */
export async function startMiddle(engine: Engine): Promise<string> {
  const plan = planOf(
    task('list'),
    task('each', {
      needs: ['list'],
      forEach: { $from: 'list', path: 'items' },
      args: { note: { $item: '' } },
      retry: { maxAttempts: 3, backoffSeconds: 1 },
    }),
    task('gated', {
      needs: ['list'],
      args: { note: { $from: 'list', path: 'items.0' } },
      approval: gate,
      compensate: { action: 'test.note', args: null },
    }),
    task('held', { needs: ['list'] }),
    task('last', {
      needs: ['list', 'each', 'gated', 'held'],
      when: { $from: 'list', path: 'items.1', equals: 'y' },
    }),
    task('never', { needs: ['held'], when: { $from: 'held', path: 'items.0', equals: 'z' } }),
  )
  const { id } = await engine.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
  await pendingApproval(engine.approvals, id)
  await eventually(async () => {
    const { tasks } = await engine.workflow.read(id)
    const at = (name: string) => tasks.find((one) => one.id === name)
    return (
      at('each.0')?.state === 'Succeeded' &&
      at('each.1')?.state === 'Pending' &&
      at('each.1')?.attempt === 1 &&
      at('held')?.state === 'Running'
    )
  }, 'the middle of the run')
  return id
}

/** In the first process `held` never ends, and `each.1` fails. */
export const firstAction = (): Action => ({
  ...secondAction([]),
  async execute({ taskId, signal }) {
    if (taskId === 'held')
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    if (taskId === 'each.1') throw new AppError('store.unavailable', 'for now')
    return { output: { items: ['x', 'y'] } }
  },
})

const secondAction = (notes: string[]): Action => ({
  name: 'test.note',
  idempotent: true,
  preview: async (args) => ({ would: args }),
  async execute({ taskId, attempt }) {
    notes.push(attempt === 1 ? taskId : `${taskId}#${attempt}`)
    return { output: { items: ['x', 'y'] } }
  },
})

export async function storedRun({ store, clock }: World, runId: string): Promise<StoredRun> {
  return {
    recordedAt: clock.now().getTime(),
    rows: {
      runs: await store.all<Row>(sql`select * from runs where id = ${runId}`),
      run_tasks: await store.all<Row>(sql`select * from run_tasks where run_id = ${runId}`),
      approvals: await store.all<Row>(sql`select * from approvals where run_id = ${runId}`),
    },
  }
}

/** Puts the run where the next engine finds it, answers it, and sees it end as if nothing had been between. */
export async function checkGoesOn(
  world: World,
  { recordedAt, rows }: StoredRun,
  host: Pick<HostStage, 'name' | 'start' | 'elapse'>,
): Promise<void> {
  const later = world.clock.now().getTime() - recordedAt
  await world.store.write(async (tx) => {
    for (const table of tables)
      for (const row of rows[table]) {
        const now = Object.entries(row).map(([column, value]) =>
          column.endsWith('_at') && typeof value === 'number' ? value + later : value,
        )
        const places = now.map(() => '?').join(', ')
        await tx.run({ text: `insert into ${table} (${Object.keys(row)}) values (${places})`, values: now })
      }
    await tx.run(sql`update runs set host = ${host.name} where id = ${String(rows.runs[0]?.['id'])}`)
  })
  const notes: string[] = []
  const engine = await host.start([secondAction(notes)])
  const [asked] = rows.approvals
  const runId = String(asked?.['run_id'])
  await engine.approvals.approve(piet, String(asked?.['id']), { digest: String(asked?.['digest']) })
  await eventually(async () => {
    host.elapse(1000)
    return (await engine.workflow.read(runId)).finishedAt !== null
  }, 'the end of the run')
  const run = await engine.workflow.read(runId)
  assert.deepEqual(
    run.tasks.map(({ id, state }) => `${id} ${state}`).sort(),
    ['each', 'each.0', 'each.1', 'gated', 'held', 'last', 'list']
      .map((id) => `${id} Succeeded`)
      .concat('never Skipped'),
  )
  assert.deepEqual(notes.sort(), ['each.1#2', 'gated', 'held#2', 'last'])
}
