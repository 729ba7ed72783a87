import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const observeMigrations: readonly Migration[] = [
  {
    id: '0130-trace-cursor',
    up: ({ int8 }) => [`create table trace_cursor (id integer primary key, seq ${int8} not null)`],
  },
]

/** The last event whose run's trace was sent, or was none; null before the first. */
export async function readTraceCursor(reader: Reader): Promise<number | null> {
  const row = await reader.get<{ seq: number }>(sql`select seq from trace_cursor where id = 1`)
  return row ? Number(row.seq) : null
}

export async function putTraceCursor(tx: Tx, seq: number): Promise<void> {
  await tx.run(sql`insert into trace_cursor (id, seq) values (1, ${seq})
    on conflict (id) do update set seq = ${seq}`)
}
