import type { HookDelivery, Json, TriggerEvent, TriggerFiring } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'
import type { Fields } from './github-event.ts'
import type { Filters } from './matching.ts'

export const triggersMigrations: readonly Migration[] = [
  {
    id: '0150-triggers',
    up: ({ int8 }) => [
      `create table connection_hooks (
        connection_id text not null primary key, issued_by text not null, issued_at ${int8} not null, starts ${int8} not null,
        wakes ${int8} not null, ping ${int8} not null, unused ${int8} not null)`,
      `create table triggers (
        id text not null primary key, title text not null, connection_id text not null, event text not null, filters text not null,
        flow text, input text not null, goal text, paused integer not null, created_by text not null, created_at ${int8} not null,
        requested_by text not null, started ${int8} not null, refused ${int8} not null)`,
      'create index triggers_of on triggers (connection_id, event)',
      `create table trigger_firings (
        id text not null primary key, trigger_id text not null, delivery_id text not null, at ${int8} not null, state text not null,
        about text not null, fields text not null, requested_by text not null, run_id text, goal_id text, reason text,
        unique (trigger_id, delivery_id))`,
      `create index trigger_firings_waiting on trigger_firings (id) where state = 'waiting'`,
    ],
  },
]

export type Use = HookDelivery['use']
export type HookRow = Readonly<Record<Use, number>> & {
  readonly connection_id: string
  readonly issued_by: string
  readonly issued_at: number
}

const hookOf = (row: HookRow): HookRow => ({
  ...row,
  issued_at: Number(row.issued_at),
  starts: Number(row.starts),
  wakes: Number(row.wakes),
  ping: Number(row.ping),
  unused: Number(row.unused),
})

export async function putHook(
  tx: Tx,
  { connectionId, issuedBy, at }: { connectionId: string; issuedBy: string; at: number },
): Promise<void> {
  await tx.run(sql`insert into connection_hooks (connection_id, issued_by, issued_at, starts, wakes, ping, unused)
    values (${connectionId}, ${issuedBy}, ${at}, 0, 0, 0, 0)
    on conflict (connection_id) do update set issued_by = excluded.issued_by, issued_at = excluded.issued_at`)
}

export const readHooks = async (reader: Reader): Promise<HookRow[]> =>
  (await reader.all<HookRow>(sql`select * from connection_hooks order by connection_id`)).map(hookOf)

export async function readHook(reader: Reader, connectionId: string): Promise<HookRow | undefined> {
  const row = await reader.get<HookRow>(
    sql`select * from connection_hooks where connection_id = ${connectionId}`,
  )
  return row && hookOf(row)
}

export async function countUse(tx: Tx, connectionId: string, use: Use): Promise<void> {
  const of = (one: Use): number => (one === use ? 1 : 0)
  await tx.run(sql`update connection_hooks set starts = starts + ${of('starts')}, wakes = wakes + ${of('wakes')},
    ping = ping + ${of('ping')}, unused = unused + ${of('unused')} where connection_id = ${connectionId}`)
}

export async function deleteHook(tx: Tx, connectionId: string): Promise<boolean> {
  return (await tx.run(sql`delete from connection_hooks where connection_id = ${connectionId}`)) > 0
}

export type Trigger = Filters & {
  readonly id: string
  readonly title: string
  readonly connectionId: string
  readonly flow: string | null
  readonly input: { [name: string]: Json }
  readonly goal: string | null
  readonly paused: boolean
  readonly createdBy: string
  readonly createdAt: number
  readonly requestedBy: string
  readonly started: number
  readonly refused: number
}

type TriggerRow = {
  id: string
  title: string
  connection_id: string
  event: TriggerEvent
  filters: string
  flow: string | null
  input: string
  goal: string | null
  paused: number
  created_by: string
  created_at: number
  requested_by: string
  started: number
  refused: number
}

const triggerOf = (row: TriggerRow): Trigger => ({
  id: row.id,
  title: row.title,
  connectionId: row.connection_id,
  event: row.event,
  ...(JSON.parse(row.filters) as Omit<Filters, 'event'>),
  flow: row.flow,
  input: JSON.parse(row.input),
  goal: row.goal,
  paused: row.paused === 1,
  createdBy: row.created_by,
  createdAt: Number(row.created_at),
  requestedBy: row.requested_by,
  started: Number(row.started),
  refused: Number(row.refused),
})

const filtersOf = ({ repository, actions, branches, labels, forks }: Filters): string =>
  JSON.stringify({ repository, actions, branches, labels, forks })

export async function insertTrigger(tx: Tx, one: Trigger): Promise<void> {
  await tx.run(sql`insert into triggers (id, title, connection_id, event, filters, flow, input, goal, paused, created_by, created_at,
      requested_by, started, refused)
    values (${one.id}, ${one.title}, ${one.connectionId}, ${one.event}, ${filtersOf(one)}, ${one.flow}, ${JSON.stringify(one.input)},
      ${one.goal}, ${one.paused ? 1 : 0}, ${one.createdBy}, ${one.createdAt}, ${one.requestedBy}, 0, 0)`)
}

export async function putTrigger(tx: Tx, one: Trigger): Promise<void> {
  await tx.run(sql`update triggers set title = ${one.title}, filters = ${filtersOf(one)}, input = ${JSON.stringify(one.input)},
    goal = ${one.goal}, paused = ${one.paused ? 1 : 0}, requested_by = ${one.requestedBy} where id = ${one.id}`)
}

export async function deleteTrigger(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from trigger_firings where trigger_id = ${id}`)
  await tx.run(sql`delete from triggers where id = ${id}`)
}

export const readTriggers = async (reader: Reader): Promise<Trigger[]> =>
  (await reader.all<TriggerRow>(sql`select * from triggers order by id`)).map(triggerOf)

export async function readTrigger(reader: Reader, id: string): Promise<Trigger | undefined> {
  const row = await reader.get<TriggerRow>(sql`select * from triggers where id = ${id}`)
  return row && triggerOf(row)
}

export async function triggersFor(
  reader: Reader,
  connectionId: string,
  event: TriggerEvent,
): Promise<Trigger[]> {
  const rows = await reader.all<TriggerRow>(
    sql`select * from triggers where connection_id = ${connectionId} and event = ${event} and paused = 0 order by id`,
  )
  return rows.map(triggerOf)
}

export type Firing = Pick<
  TriggerFiring,
  'id' | 'state' | 'about' | 'requestedBy' | 'runId' | 'goalId' | 'reason'
> & {
  readonly triggerId: string
  readonly deliveryId: string
  readonly at: number
  readonly fields: Fields
}
type FiringRow = Pick<Firing, 'id' | 'state' | 'about' | 'reason'> & {
  trigger_id: string
  delivery_id: string
  at: number
  fields: string
  requested_by: string
  run_id: string | null
  goal_id: string | null
}

const firingOf = (row: FiringRow): Firing => ({
  id: row.id,
  triggerId: row.trigger_id,
  deliveryId: row.delivery_id,
  at: Number(row.at),
  state: row.state,
  about: row.about,
  fields: JSON.parse(row.fields),
  requestedBy: row.requested_by,
  runId: row.run_id,
  goalId: row.goal_id,
  reason: row.reason,
})

type NewFiring = Omit<Firing, 'runId' | 'goalId'>

export async function insertFiring(tx: Tx, one: NewFiring): Promise<void> {
  await tx.run(sql`insert into trigger_firings (id, trigger_id, delivery_id, at, state, about, fields, requested_by, reason)
    values (${one.id}, ${one.triggerId}, ${one.deliveryId}, ${one.at}, ${one.state}, ${one.about}, ${JSON.stringify(one.fields)},
      ${one.requestedBy}, ${one.reason})`)
}

/** Newest first. */
export async function readFirings(reader: Reader, triggerId: string, limit: number): Promise<Firing[]> {
  const rows = await reader.all<FiringRow>(
    sql`select * from trigger_firings where trigger_id = ${triggerId} order by id desc limit ${limit}`,
  )
  return rows.map(firingOf)
}

/** Of all triggers that are not paused; who has waited longest first. */
export async function waitingFirings(reader: Reader, limit: number): Promise<Firing[]> {
  const rows = await reader.all<FiringRow>(sql`select * from trigger_firings where state = 'waiting'
    and trigger_id in (select id from triggers where paused = 0) order by id limit ${limit}`)
  return rows.map(firingOf)
}

export async function countFiringsSince(reader: Reader, triggerId: string, at: number): Promise<number> {
  const row = await reader.get<{ count: number }>(sql`select count(*) as count from trigger_firings
    where trigger_id = ${triggerId} and at > ${at} and state <> 'skipped'`)
  return Number(row?.count ?? 0)
}

/** False when it does not wait any more. */
export async function settleFiring(
  tx: Tx,
  { id, triggerId }: Pick<Firing, 'id' | 'triggerId'>,
  end: Partial<Pick<Firing, 'runId' | 'goalId' | 'reason'>> & Pick<Firing, 'state'>,
): Promise<boolean> {
  const { state, runId = null, goalId = null, reason = null } = end
  const count =
    await tx.run(sql`update trigger_firings set state = ${state}, run_id = ${runId}, goal_id = ${goalId},
    reason = ${reason} where id = ${id} and state = 'waiting'`)
  if (count === 0) return false
  const [started, refused] = [state === 'started' ? 1 : 0, state === 'refused' ? 1 : 0]
  await tx.run(
    sql`update triggers set started = started + ${started}, refused = refused + ${refused} where id = ${triggerId}`,
  )
  return true
}

/** What waits while a trigger is paused would come as a surprise when it goes on. */
export async function skipWaiting(tx: Tx, triggerId: string, reason: string): Promise<void> {
  await tx.run(sql`update trigger_firings set state = 'skipped', reason = ${reason}
    where trigger_id = ${triggerId} and state = 'waiting'`)
}

/** Forgets what is older than the newest `kept`, except what still waits. */
export async function deleteOldFirings(tx: Tx, triggerId: string, kept: number): Promise<void> {
  const oldest = await tx.get<{ id: string }>(sql`select id from trigger_firings
    where trigger_id = ${triggerId} order by id desc limit 1 offset ${kept}`)
  if (oldest)
    await tx.run(sql`delete from trigger_firings
      where trigger_id = ${triggerId} and id <= ${oldest.id} and state <> 'waiting'`)
}

export type TriggerCounts = {
  count: number
  paused: number
  /** Those whose last event could not be started. */
  failing: number
  started: number
  refused: number
  /** Signed deliveries that were taken, by what they led to. */
  deliveries: Record<Use, number>
}

export async function countTriggers(reader: Reader): Promise<TriggerCounts> {
  const [all, hooks] = [await readTriggers(reader), await readHooks(reader)]
  const failing =
    await reader.all(sql`select f.trigger_id from trigger_firings f join triggers t on t.id = f.trigger_id
    where f.state = 'refused' and t.paused = 0 and f.id =
      (select max(id) from trigger_firings where trigger_id = f.trigger_id and state in ('started', 'refused'))`)
  const used = (use: Use): number => hooks.reduce((total, hook) => total + hook[use], 0)
  return {
    count: all.length,
    paused: all.filter(({ paused }) => paused).length,
    failing: failing.length,
    started: all.reduce((total, one) => total + one.started, 0),
    refused: all.reduce((total, one) => total + one.refused, 0),
    deliveries: { starts: used('starts'), wakes: used('wakes'), ping: used('ping'), unused: used('unused') },
  }
}
