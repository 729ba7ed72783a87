import type { EventName, Json, LiveEvent } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const busMigrations: readonly Migration[] = [
  {
    id: '0015-bus-outbox',
    up: ({ int8 }) => [
      `create table outbox (seq ${int8} primary key, type text not null, subject text not null, at ${int8} not null, data text not null)`,
    ],
  },
]

type Row = { seq: number; type: EventName; subject: string; at: number; data: string }

export async function lastSeq(tx: Pick<Tx, 'get'>): Promise<number> {
  const row = await tx.get<{ seq: number | null }>(sql`select max(seq) as seq from outbox`)
  return Number(row?.seq ?? 0)
}

/** Few statements to prepare, and few to run for any number of events. */
const columns = 'insert into outbox (seq, type, subject, at, data) values '
const row = '(?, ?, ?, cast(? as bigint), ?)'
const inserts = [32, 8, 1].map((rows) => ({ rows, text: columns + Array<string>(rows).fill(row).join(', ') }))

export async function insertEvents(tx: Pick<Tx, 'run'>, events: readonly LiveEvent[]): Promise<void> {
  for (let at = 0; at < events.length; ) {
    const fits = inserts.find(({ rows }) => rows <= events.length - at)
    if (!fits) return
    const values = events
      .slice(at, at + fits.rows)
      .flatMap((event) => [
        event.seq,
        event.type,
        event.subject,
        Date.parse(event.at),
        JSON.stringify(event.data),
      ])
    await tx.run({ text: fits.text, values })
    at += fits.rows
  }
}

export async function eventsAfter(reader: Reader, seq: number, limit: number): Promise<LiveEvent[]> {
  const rows = await reader.all<Row>(sql`select * from outbox where seq > ${seq} order by seq limit ${limit}`)
  return rows.map((row) => ({
    ...row,
    at: new Date(row.at).toISOString(),
    data: JSON.parse(row.data) as Json,
  }))
}

export async function deleteBefore(tx: Pick<Tx, 'run'>, seq: number): Promise<void> {
  await tx.run(sql`delete from outbox where seq < ${seq}`)
}
