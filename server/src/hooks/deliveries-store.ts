import type { Json } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const hooksMigrations: readonly Migration[] = [
  {
    id: '0047-hook-deliveries',
    up: () => [
      'alter table push_deliveries rename to hook_deliveries',
      'alter table hook_deliveries rename column schedule_id to listener_id',
      'alter table hook_deliveries add column about text',
      'create index hook_deliveries_at on hook_deliveries (at)',
      'create index hook_deliveries_of on hook_deliveries (listener_id, at)',
    ],
  },
]

/** As long as a delivery is known, the same one is refused. */
const knownMilliseconds = 400 * 86_400_000

type Taken = {
  /** Who listens: the id of a schedule or of a connection. */
  readonly listenerId: string
  readonly deliveryId: string
  /** Of its content: the id of a delivery is not signed. */
  readonly digest: string
  readonly at: number
  /** What it was, for who looks at the list. */
  readonly about: Json
}

/** False when it, or one with the same content, was there before. */
export async function takeDelivery(tx: Tx, delivery: Taken): Promise<boolean> {
  const { listenerId, deliveryId, digest, at, about } = delivery
  await tx.run(sql`delete from hook_deliveries where at < ${at - knownMilliseconds}`)
  const before = await tx.get(sql`select 1 as found from hook_deliveries
    where listener_id = ${listenerId} and (delivery_id = ${deliveryId} or digest = ${digest})`)
  if (before !== undefined) return false
  await tx.run(sql`insert into hook_deliveries (listener_id, delivery_id, digest, at, about)
    values (${listenerId}, ${deliveryId}, ${digest}, ${at}, ${JSON.stringify(about)})`)
  return true
}

/** Newest first; of those that were taken. */
export async function lastDeliveries(
  reader: Reader,
  listenerId: string,
  limit: number,
): Promise<{ at: number; about: Json }[]> {
  const rows = await reader.all<{ at: number; about: string }>(sql`select at, about from hook_deliveries
    where listener_id = ${listenerId} and about is not null order by at desc, delivery_id limit ${limit}`)
  return rows.map(({ at, about }) => ({ at: Number(at), about: JSON.parse(about) }))
}

export async function forgetDeliveries(tx: Tx, listenerId: string): Promise<void> {
  await tx.run(sql`delete from hook_deliveries where listener_id = ${listenerId}`)
}
