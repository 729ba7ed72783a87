import { type Migration, type Reader, sql, type Tx } from '../../store/index.ts'

export const temporalMigrations: readonly Migration[] = [
  {
    id: '0065-temporal-signals',
    up: ({ int8 }) => [
      `create table run_signals (run_id text primary key references runs (id), times ${int8} not null)`,
    ],
  },
]

/** A run of which Temporal is yet to hear that there is news. */
export type OpenSignal = { readonly runId: string; readonly times: number }

/** In the transaction that makes the news, so that no crash loses them. */
export async function openSignal(tx: Tx, runId: string): Promise<void> {
  await tx.run(sql`insert into run_signals (run_id, times) values (${runId}, 1)
    on conflict (run_id) do update set times = run_signals.times + 1`)
}

/** Unless there was more news meanwhile. */
export async function closeSignal(tx: Tx, { runId, times }: OpenSignal): Promise<void> {
  await tx.run(sql`delete from run_signals where run_id = ${runId} and times = ${times}`)
}

export async function openSignals(reader: Reader, limit: number): Promise<OpenSignal[]> {
  const rows = await reader.all<{ run_id: string; times: number }>(
    sql`select run_id, times from run_signals order by run_id limit ${limit}`,
  )
  return rows.map((row) => ({ runId: row.run_id, times: Number(row.times) }))
}

export async function signalOf(reader: Reader, runId: string): Promise<OpenSignal | undefined> {
  const row = await reader.get<{ times: number }>(sql`select times from run_signals where run_id = ${runId}`)
  return row && { runId, times: Number(row.times) }
}

export async function countSignals(reader: Reader): Promise<number> {
  const row = await reader.get<{ n: number }>(sql`select count(*) as n from run_signals`)
  return Number(row?.n ?? 0)
}
