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

export async function insertEvent(tx: Tx, event: Omit<LiveEvent, 'seq'>): Promise<LiveEvent> {
  const row = await tx.get<{ seq: number }>(sql`insert into outbox (seq, type, subject, at, data)
    select coalesce(max(seq), 0) + 1, ${event.type}, ${event.subject}, cast(${Date.parse(event.at)} as bigint), ${JSON.stringify(event.data)}
    from outbox returning seq`)
  return { ...event, seq: row?.seq ?? 0 }
}

export async function eventsAfter(reader: Reader, seq: number, limit: number): Promise<LiveEvent[]> {
  const rows = await reader.all<Row>(sql`select * from outbox where seq > ${seq} order by seq limit ${limit}`)
  return rows.map((row) => ({
    ...row,
    at: new Date(row.at).toISOString(),
    data: JSON.parse(row.data) as Json,
  }))
}

export async function deleteBefore(tx: Tx, seq: number): Promise<void> {
  await tx.run(sql`delete from outbox where seq < ${seq}`)
}
