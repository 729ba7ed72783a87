import type { GoalView, PlanDraft, ProposalView } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const goalsMigrations: readonly Migration[] = [
  {
    id: '0063-goals',
    up: ({ int8 }) => [
      `create table goals (
        id text not null primary key, text text not null, choices text not null, proposals text not null, chosen ${int8},
        run_id text, created_by text not null, created_at ${int8} not null, started_at ${int8})`,
    ],
  },
]

/** With the tasks of its own that a model wrote, by which its plan is made again; null where it is a flow's. */
export type Proposal = ProposalView & { readonly draft: PlanDraft | null }

export type GoalRecord = {
  readonly id: string
  readonly text: string
  readonly choices: GoalView['choices']
  readonly proposals: readonly Proposal[]
  readonly chosen: number | null
  readonly runId: string | null
  readonly createdBy: string
  readonly createdAt: number
  readonly startedAt: number | null
}

type Row = {
  id: string
  text: string
  choices: string
  proposals: string
  chosen: number | null
  run_id: string | null
  created_by: string
  created_at: number
  started_at: number | null
}

const columns = sql`id, text, choices, proposals, chosen, run_id, created_by, created_at, started_at`

const recordOf = (row: Row): GoalRecord => ({
  id: row.id,
  text: row.text,
  choices: JSON.parse(row.choices),
  proposals: (JSON.parse(row.proposals) as Proposal[]).map((proposal) => ({
    ...proposal,
    model: proposal.model ?? null,
    draft: proposal.draft ?? null,
  })),
  chosen: row.chosen === null ? null : Number(row.chosen),
  runId: row.run_id,
  createdBy: row.created_by,
  createdAt: Number(row.created_at),
  startedAt: row.started_at === null ? null : Number(row.started_at),
})

export async function insertGoal(tx: Tx, goal: GoalRecord): Promise<void> {
  await tx.run(sql`insert into goals (id, text, choices, proposals, created_by, created_at)
    values (${goal.id}, ${goal.text}, ${JSON.stringify(goal.choices)}, ${JSON.stringify(goal.proposals)},
      ${goal.createdBy}, ${goal.createdAt})`)
}

export async function readGoal(reader: Reader, id: string): Promise<GoalRecord | undefined> {
  const row = await reader.get<Row>(sql`select ${columns} from goals where id = ${id}`)
  return row && recordOf(row)
}

/** Newest first; ids sort by time. */
export async function goalsBefore(
  reader: Reader,
  cursor: string | undefined,
  limit: number,
): Promise<GoalRecord[]> {
  const rows = await reader.all<Row>(
    sql`select ${columns} from goals where id < ${cursor ?? '~'} order by id desc limit ${limit}`,
  )
  return rows.map(recordOf)
}

/** False when it was started before. */
export async function markStarted(
  tx: Tx,
  id: string,
  { chosen, runId, at }: { chosen: number; runId: string; at: number },
): Promise<boolean> {
  return (
    (await tx.run(sql`update goals set chosen = ${chosen}, run_id = ${runId}, started_at = ${at}
      where id = ${id} and run_id is null`)) > 0
  )
}
