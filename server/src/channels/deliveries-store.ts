import type { DeliveryView } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const deliveryTables: Migration['up'] = ({ int8 }) => [
  `create table channel_deliveries (
    id text not null primary key, channel_id text not null, seq ${int8} not null, event text not null, subject text not null,
    at ${int8} not null, data text not null, state text not null, attempts integer not null, created_at ${int8} not null,
    next_at ${int8} not null, sent_at ${int8}, problem text, unique (channel_id, seq, event))`,
  'create index channel_deliveries_state on channel_deliveries (state, channel_id, seq)',
  'create index channel_deliveries_subject on channel_deliveries (subject)',
  `create table channel_messages (
    channel_id text not null, subject text not null, reference text not null, primary key (channel_id, subject))`,
  `create table channel_cursor (id integer primary key, seq ${int8} not null)`,
]

export type DeliveryRow = {
  readonly id: string
  readonly channel_id: string
  /** Of the event in the outbox; of a test, the time at which it was asked for, below zero. */
  readonly seq: number
  readonly event: DeliveryView['event']
  readonly subject: string
  readonly at: number
  readonly data: string
  readonly state: DeliveryView['state']
  readonly attempts: number
  readonly created_at: number
  readonly next_at: number
  readonly sent_at: number | null
  readonly problem: string | null
}

/** Nothing when it is there already: an event is told to a channel once. */
export async function insertDelivery(tx: Tx, row: DeliveryRow): Promise<void> {
  await tx.run(sql`insert into channel_deliveries (id, channel_id, seq, event, subject, at, data, state, attempts, created_at, next_at)
    values (${row.id}, ${row.channel_id}, ${row.seq}, ${row.event}, ${row.subject}, ${row.at}, ${row.data}, ${row.state},
      ${row.attempts}, ${row.created_at}, ${row.next_at}) on conflict (channel_id, seq, event) do nothing`)
}

/** The oldest that is due. What comes before it about the same subject has been sent or given up. */
export const nextDue = (reader: Reader, channelId: string, now: number): Promise<DeliveryRow | undefined> =>
  reader.get<DeliveryRow>(sql`select d.* from channel_deliveries d join channels c on c.id = d.channel_id
    where d.state = 'waiting' and d.channel_id = ${channelId} and d.next_at <= ${now} and c.held_until <= ${now}
      and not exists (select 1 from channel_deliveries e where e.state = 'waiting'
        and e.channel_id = d.channel_id and e.subject = d.subject and e.seq < d.seq)
    order by d.seq limit 1`)

/** When the next one is due, whichever channel's. */
export async function nextTime(reader: Reader): Promise<number | undefined> {
  const row = await reader.get<{
    at: number | null
  }>(sql`select min(case when d.next_at > c.held_until then d.next_at else c.held_until end) as at
    from channel_deliveries d join channels c on c.id = d.channel_id where d.state = 'waiting' and c.paused = 0`)
  return row?.at ?? undefined
}

export async function markBegun(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`update channel_deliveries set attempts = attempts + 1 where id = ${id}`)
}

export async function markSent(tx: Tx, id: string, now: number): Promise<void> {
  await tx.run(
    sql`update channel_deliveries set state = 'sent', sent_at = ${now}, problem = null where id = ${id}`,
  )
}

export async function markLater(
  tx: Tx,
  id: string,
  { problem, nextAt, counts }: { problem: string; nextAt: number; counts: boolean },
): Promise<void> {
  await tx.run(sql`update channel_deliveries set problem = ${problem}, next_at = ${nextAt},
    attempts = attempts - ${counts ? 0 : 1} where id = ${id}`)
}

export async function markDead(tx: Tx, id: string, problem: string): Promise<void> {
  await tx.run(sql`update channel_deliveries set state = 'dead', problem = ${problem} where id = ${id}`)
}

/** Nothing of the channel is tried before, nor what comes meanwhile: its service has asked to wait. */
export async function holdChannel(tx: Tx, channelId: string, until: number): Promise<void> {
  await tx.run(sql`update channels set held_until = ${until} where id = ${channelId}`)
}

export async function reviveDead(tx: Tx, channelId: string, now: number): Promise<number> {
  return tx.run(sql`update channel_deliveries set state = 'waiting', attempts = 0, next_at = ${now}
    where state = 'dead' and channel_id = ${channelId}`)
}

export const readDelivery = (reader: Reader, id: string): Promise<DeliveryRow | undefined> =>
  reader.get<DeliveryRow>(sql`select * from channel_deliveries where id = ${id}`)

export const readDeliveries = (
  reader: Reader,
  channelId: string,
  { state, limit }: { state: DeliveryView['state'] | undefined; limit: number },
): Promise<DeliveryRow[]> =>
  state === undefined
    ? reader.all<DeliveryRow>(
        sql`select * from channel_deliveries where channel_id = ${channelId} order by created_at desc, seq desc limit ${limit}`,
      )
    : reader.all<DeliveryRow>(sql`select * from channel_deliveries where channel_id = ${channelId} and state = ${state}
        order by created_at desc, seq desc limit ${limit}`)

/** Those channels that have been told of it, or are about to be. */
export async function channelsToldOf(reader: Reader, subject: string): Promise<string[]> {
  const rows = await reader.all<{ channel_id: string }>(
    sql`select distinct channel_id from channel_deliveries where subject = ${subject}`,
  )
  return rows.map((row) => row.channel_id)
}

export type DeliveryCounts = {
  readonly channel_id: string
  readonly waiting: number
  readonly sent: number
  readonly dead: number
  readonly last_sent_at: number | null
}

export const countDeliveries = (reader: Reader): Promise<DeliveryCounts[]> =>
  reader.all<DeliveryCounts>(sql`select channel_id, max(sent_at) as last_sent_at,
      cast(sum(case when state = 'waiting' then 1 else 0 end) as integer) as waiting,
      cast(sum(case when state = 'sent' then 1 else 0 end) as integer) as sent,
      cast(sum(case when state = 'dead' then 1 else 0 end) as integer) as dead
    from channel_deliveries group by channel_id`)

/** By state, from an index: asked whenever somebody asks for the health of the server. */
export async function countStates(reader: Reader): Promise<Readonly<Record<DeliveryView['state'], number>>> {
  const rows = await reader.all<{ state: DeliveryView['state']; count: number }>(
    sql`select state, cast(count(*) as integer) as count from channel_deliveries group by state`,
  )
  const none = { waiting: 0, sent: 0, dead: 0 }
  return Object.assign(none, Object.fromEntries(rows.map(({ state, count }) => [state, count])))
}

/** What was sent before is forgotten, and with it where its messages are. */
export async function forgetSentBefore(tx: Tx, at: number): Promise<void> {
  await tx.run(sql`delete from channel_deliveries where state = 'sent' and sent_at < ${at}`)
  await tx.run(sql`delete from channel_messages where not exists (select 1 from channel_deliveries d
    where d.channel_id = channel_messages.channel_id and d.subject = channel_messages.subject)`)
}

export async function readReference(
  reader: Reader,
  channelId: string,
  subject: string,
): Promise<string | null> {
  const row = await reader.get<{ reference: string }>(
    sql`select reference from channel_messages where channel_id = ${channelId} and subject = ${subject}`,
  )
  return row?.reference ?? null
}

export async function putReference(
  tx: Tx,
  { channelId, subject, reference }: { channelId: string; subject: string; reference: string },
): Promise<void> {
  await tx.run(sql`insert into channel_messages (channel_id, subject, reference) values (${channelId}, ${subject}, ${reference})
    on conflict (channel_id, subject) do update set reference = excluded.reference`)
}

/** The last event of the outbox that has been looked at; undefined before the first start. */
export async function readCursor(reader: Reader): Promise<number | undefined> {
  const row = await reader.get<{ seq: number }>(sql`select seq from channel_cursor where id = 1`)
  return row?.seq
}

export async function putCursor(tx: Tx, seq: number): Promise<void> {
  await tx.run(sql`insert into channel_cursor (id, seq) values (1, ${seq})
    on conflict (id) do update set seq = excluded.seq`)
}
