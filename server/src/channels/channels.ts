import type {
  ChannelAccountView,
  ChannelKind,
  ChannelRoute,
  ChannelView,
  DeliveryView,
  Json,
} from '@keyward/contract'
import type { Approvals } from '../approvals/index.ts'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  newId,
  type Principal,
  reasonOf,
  type Secret,
} from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { createAccounts } from './accounts.ts'
import {
  type ChannelRow,
  deleteChannel,
  insertChannel,
  putChannel,
  putHealth,
  readChannel,
  readChannels,
} from './channels-store.ts'
import { createCourier } from './courier.ts'
import {
  countDeliveries,
  countStates,
  type DeliveryRow,
  insertDelivery,
  readDeliveries,
  readDelivery,
  reviveDead,
} from './deliveries-store.ts'
import { createInbound, type Inbound, type Reply } from './inbound.ts'
import { createNotices } from './notices.ts'
import { openChannel } from './open-channel.ts'
import { createOutbox } from './outbox.ts'
import { createReceive } from './receive.ts'
import { usualRoutes } from './routing.ts'
import { assertAddresses, type OpenChannel, openChannelOf, settingsOf } from './settings.ts'
import { channelViewOf, deliveryViewOf, type Health } from './view.ts'

export type NewChannel = {
  readonly kind: ChannelKind
  readonly name: string
  readonly settings: Json
  readonly secretPath: string | null
  readonly allowPrivate: boolean
  readonly routes?: readonly ChannelRoute[] | undefined
}
export type ChannelChange = {
  readonly settings?: Json | undefined
  readonly secretPath?: string | null | undefined
  readonly allowPrivate?: boolean | undefined
  readonly routes?: readonly ChannelRoute[] | undefined
  readonly paused?: boolean | undefined
}
export type ChannelCounts = {
  readonly count: number
  readonly waiting: number
  readonly sent: number
  readonly dead: number
}

export type Channels = {
  list(): Promise<ChannelView[]>
  create(wanted: NewChannel, by: Principal): Promise<ChannelView>
  change(channelId: string, change: ChannelChange, by: Principal): Promise<ChannelView>
  remove(channelId: string, by: Principal): Promise<void>
  /** Sends a message that says it is a test. Throws `channel.unavailable`, `channel.refused` when it did not go. */
  test(channelId: string, by: Principal): Promise<DeliveryView>
  /** Asks the service and keeps what came of it. */
  check(channelId: string): Promise<ChannelView>
  deliveries(
    channelId: string,
    query: { state?: DeliveryView['state'] | undefined; limit: number },
  ): Promise<DeliveryView[]>
  /** How many are tried again. */
  retry(channelId: string, by: Principal): Promise<number>
  link(by: Principal): Promise<{ code: Secret; expiresAt: Date }>
  accounts(): Promise<ChannelAccountView[]>
  unlink(accountId: string, by: Principal): Promise<void>
  /** What a service sends. Throws `channel.unsigned`, `channel.repeated`, `vault.sealed`. */
  receive(from: 'slack' | 'teams', request: Inbound): Promise<Reply>
  counts(): Promise<ChannelCounts>
  start(): Promise<void>
  stop(): Promise<void>
  /** Resolves when nothing is due any more. */
  idle(): Promise<void>
}

export type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish' | 'subscribe' | 'since'>
  clock: Clock
  log: Log
  random: () => number
  identity: Pick<Identity, 'person'>
  vault: { kv: Pick<Vault['kv'], 'read'>; status(): Pick<ReturnType<Vault['status']>, 'sealed'> }
  approvals: Pick<Approvals, 'answer' | 'read'>
  workflow: Pick<Workflow, 'read'>
  /** Where people reach this server, without a slash at its end. */
  publicAddress: () => string
}

const unknownHealth: Health = { state: 'unknown', detail: null, latencyMs: null, checkedAt: null }
const probeMs = 15_000

export function createChannels(needs: Needs): Channels {
  const { store, audit, bus, clock, log, vault } = needs
  let open: readonly OpenChannel[] = []
  const now = (): number => clock.now().getTime()
  const notices = createNotices(needs)
  const accounts = createAccounts(needs)
  const courier = createCourier({
    ...needs,
    notices,
    channels: () => open,
    open: (channel) => openChannel(channel, needs),
    isSealed: () => vault.status().sealed,
  })
  const outbox = createOutbox({ ...needs, notices, channels: () => open, wake: () => courier.wake() })
  const inbound = createInbound({ ...needs, accounts })
  const receive = createReceive({ ...needs, inbound, channels: () => open })

  const load = async (): Promise<void> => {
    open = (await readChannels(store)).map(openChannelOf)
  }

  async function found(reader: Parameters<typeof readChannel>[0], channelId: string): Promise<ChannelRow> {
    const row = await readChannel(reader, channelId)
    if (!row) throw new AppError('channel.not_found', `there is no channel '${channelId}'`)
    return row
  }

  async function tell(
    tx: Tx,
    type: 'channel.created' | 'channel.changed' | 'channel.removed',
    row: ChannelRow,
    by: Principal,
  ): Promise<void> {
    const { id, name, kind, secret_path: secretPath } = row
    const settings: Json = JSON.parse(row.settings)
    const routes: Json = JSON.parse(row.routes)
    const flags = { allowPrivate: row.allow_private === 1, paused: row.paused === 1 }
    const detail = { name, kind, settings, secretPath, routes, ...flags }
    const target = `channel:${id}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  async function view(channelId: string): Promise<ChannelView> {
    const counts = await countDeliveries(store)
    return channelViewOf(
      await found(store, channelId),
      counts.find(({ channel_id }) => channel_id === channelId),
    )
  }

  /** What a send shows of the service's health is kept with it. */
  async function keepHealth(channelId: string, health: Health): Promise<void> {
    await store.write((tx) => putHealth(tx, channelId, JSON.stringify(health)), 'kernel')
  }

  async function probe(row: ChannelRow): Promise<Health> {
    const started = now()
    const at = new Date(started).toISOString()
    try {
      const channel = openChannelOf(row)
      await audit.recordNow({
        type: 'channel.notified',
        outcome: 'intent',
        actor: 'system:channels',
        target: `channel:${row.id}`,
        detail: { name: row.name, kind: row.kind, event: 'check', secretPath: row.secret_path },
      })
      await (await openChannel(channel, needs)).probe(AbortSignal.timeout(probeMs))
      return { state: 'up', detail: null, latencyMs: now() - started, checkedAt: at }
    } catch (error) {
      return { state: 'down', detail: reasonOf(error).slice(0, 500), latencyMs: null, checkedAt: at }
    }
  }

  return {
    receive,
    async list() {
      const counts = await countDeliveries(store)
      const rows = await readChannels(store)
      return rows.map((row) =>
        channelViewOf(
          row,
          counts.find(({ channel_id }) => channel_id === row.id),
        ),
      )
    },
    async create({ kind, name, settings, secretPath, allowPrivate, routes }, by) {
      const parsed = settingsOf(kind, settings)
      assertAddresses(parsed as Json, allowPrivate)
      const row: ChannelRow = {
        id: newId('chn', clock.now()),
        name,
        kind,
        settings: JSON.stringify(parsed),
        secret_path: secretPath,
        allow_private: allowPrivate ? 1 : 0,
        paused: 0,
        routes: JSON.stringify(routes ?? usualRoutes[kind]),
        created_by: actorOf(by),
        created_at: now(),
        health: JSON.stringify(unknownHealth),
      }
      await store.write(async (tx) => {
        if (!(await insertChannel(tx, row)))
          throw new AppError(
            'channel.exists',
            `a channel is called ${name} already. Change it, or choose another name`,
          )
        await tell(tx, 'channel.created', row, by)
      })
      await load()
      return view(row.id)
    },
    async change(channelId, change, by) {
      await store.write(async (tx) => {
        const row = changed(await found(tx, channelId), change)
        await putChannel(tx, row)
        await tell(tx, 'channel.changed', row, by)
      })
      await load()
      courier.wake()
      return view(channelId)
    },
    async remove(channelId, by) {
      await store.write(async (tx) => {
        const row = await found(tx, channelId)
        await deleteChannel(tx, channelId)
        await tell(tx, 'channel.removed', row, by)
      })
      await load()
    },
    async test(channelId, by) {
      const channel = openChannelOf(await found(store, channelId))
      if (vault.status().sealed) throw new AppError('vault.sealed')
      const row = testOf(channelId, clock.now())
      await store.write((tx) => insertDelivery(tx, row))
      log.info({ channel: channel.name, by: actorOf(by) }, 'a test message is sent')
      const outcome = await courier.send(channel, row)
      if (outcome.state === 'sent') return deliveryViewOf((await readDelivery(store, row.id)) ?? row)
      const code = outcome.state === 'later' ? 'channel.unavailable' : 'channel.refused'
      throw new AppError(code, `${channel.name}: ${outcome.problem}`)
    },
    async check(channelId) {
      await keepHealth(channelId, await probe(await found(store, channelId)))
      return view(channelId)
    },
    async deliveries(channelId, { state, limit }) {
      await found(store, channelId)
      return (await readDeliveries(store, channelId, { state, limit })).map(deliveryViewOf)
    },
    async retry(channelId, by) {
      const revived = await store.write(async (tx) => {
        const row = await found(tx, channelId)
        const count = await reviveDead(tx, channelId, now())
        if (count > 0) await tell(tx, 'channel.changed', row, by)
        return count
      })
      courier.wake()
      return revived
    },
    link: accounts.issueCode,
    accounts: accounts.list,
    unlink: accounts.unlink,
    counts: async () => ({ count: open.length, ...(await countStates(store)) }),
    async start() {
      await load()
      await courier.start()
      await outbox.start()
    },
    async stop() {
      await outbox.stop()
      await courier.stop()
    },
    async idle() {
      await outbox.idle()
      await courier.idle()
    },
  }
}

function changed(row: ChannelRow, change: ChannelChange): ChannelRow {
  const settings =
    change.settings === undefined
      ? settingsOf(row.kind, JSON.parse(row.settings))
      : settingsOf(row.kind, change.settings)
  const allowPrivate = change.allowPrivate ?? row.allow_private === 1
  assertAddresses(settings as Json, allowPrivate)
  return {
    ...row,
    settings: JSON.stringify(settings),
    secret_path: change.secretPath === undefined ? row.secret_path : change.secretPath,
    allow_private: allowPrivate ? 1 : 0,
    paused: (change.paused ?? row.paused === 1) ? 1 : 0,
    routes: change.routes === undefined ? row.routes : JSON.stringify(change.routes),
  }
}

/** Held back, so that the queue does not send it at the same time; one that fails is tried again like any other. */
const testOf = (channelId: string, now: Date): DeliveryRow => ({
  id: newId('dlv', now),
  channel_id: channelId,
  seq: -now.getTime(),
  event: 'test',
  subject: `test:${newId('tst', now)}`,
  at: now.getTime(),
  data: 'null',
  state: 'waiting',
  attempts: 0,
  created_at: now.getTime(),
  next_at: now.getTime() + 60_000,
  sent_at: null,
  problem: null,
})
