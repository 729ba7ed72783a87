import type { TriggerFiring, TriggerView } from '@keyward/contract'
import { AppError, actorOf, createLooking, newId, type Principal } from '../core/index.ts'
import { principalNamed } from '../identity/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import { assertListens, createEventHooks, type EventHooks } from './event-hooks.ts'
import { sampleFields } from './github-event.ts'
import { type Filters, filledGoal, filledInput } from './matching.ts'
import type { TriggersNeeds } from './needs.ts'
import { createReceive, type Receive } from './receiving.ts'
import { createTriggerStarter } from './trigger-starter.ts'
import {
  countTriggers,
  deleteTrigger,
  type Firing,
  insertTrigger,
  putTrigger,
  readFirings,
  readTrigger,
  readTriggers,
  skipWaiting,
  type Trigger,
  type TriggerCounts,
} from './triggers-store.ts'

type Told = Pick<Trigger, 'flow' | 'input' | 'goal'>
export type NewTrigger = Filters &
  Told & { readonly connectionId: string; readonly title?: string | undefined }
type Changeable = Pick<
  Trigger,
  'title' | 'actions' | 'branches' | 'labels' | 'forks' | 'input' | 'goal' | 'paused'
>
export type TriggerChange = { readonly [K in keyof Changeable]?: Changeable[K] | undefined }

/** What is started when the service of a connection tells of an event, in the name of who made the trigger or changed it last. */
export type Triggers = {
  readonly hooks: Omit<EventHooks, 'tidy'>
  readonly receive: Receive
  list(): Promise<TriggerView[]>
  /** Throws `trigger.not_found`. */
  read(triggerId: string): Promise<TriggerView & { firings: TriggerFiring[] }>
  /** Throws `flow.not_found`, `run.plan_invalid`, and `policy.denied` for who may not start it now. */
  create(wanted: NewTrigger, by: Principal): Promise<TriggerView>
  /** Whoever changes more than whether it is paused vouches for it from then on. */
  change(triggerId: string, change: TriggerChange, by: Principal): Promise<TriggerView>
  remove(triggerId: string, by: Principal): Promise<void>
  counts(): Promise<TriggerCounts>
  start(): void
  stop(): void
  /** Resolves when nothing waits that could be started. */
  idle(): Promise<void>
}

const shownFirings = 50

export function createTriggers(needs: TriggersNeeds): Triggers {
  const { store, audit, bus, clock, policy, identity, flows, connectors, vault, workflow } = needs
  const starter = createTriggerStarter(needs)
  const hooks = createEventHooks(needs)
  let isTidy = false
  let unsubscribe = (): void => undefined
  const looking = createLooking(needs, async () => {
    if (vault.status().sealed) return
    if (!isTidy) await hooks.tidy()
    isTidy = true
    await starter.startWaiting(looking.isStopped)
  })

  async function found(reader: Reader, triggerId: string): Promise<Trigger> {
    const trigger = await readTrigger(reader, triggerId)
    if (!trigger) throw new AppError('trigger.not_found', `there is no trigger '${triggerId}'`)
    return trigger
  }

  async function tell(
    tx: Tx,
    type: 'trigger.created' | 'trigger.changed' | 'trigger.removed',
    { by, trigger }: { by: Principal; trigger: Trigger },
  ): Promise<void> {
    const { id, title: _, createdAt, createdBy, started, refused, ...detail } = trigger
    const target = `trigger:${id}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  /** A trigger that could not start anything even now is a mistake of who makes it. Gives a title for it. */
  async function assertStartable(wanted: Told & Filters, by: Principal): Promise<string> {
    // A vault token is known only while it is presented: nothing could be started in its name later.
    await principalNamed(identity, actorOf(by))
    const { flow, goal, input, event, repository } = wanted
    const fields = sampleFields(event, repository)
    if (flow === null && goal !== null) {
      filledGoal(goal, fields)
      assertMay(by, 'goals.propose', { type: 'Goal', id: '*' })
      return goal
    }
    if (flow === null || goal !== null)
      throw new AppError('request.invalid', 'say what is started: a flow, or a goal')
    const known = await flows.find(flow)
    const parsed = known.input.safeParse(filledInput(input, fields))
    if (!parsed.success) {
      const words = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
      throw new AppError('run.plan_invalid', `input: ${words}`)
    }
    assertMay(by, 'runs.start', { type: 'Run', id: '*', attributes: { flow, requestedBy: actorOf(by) } })
    return known.title
  }

  function assertMay(
    principal: Principal,
    action: string,
    resource: Parameters<typeof policy.decide>[0]['resource'],
  ): void {
    const { allow, reason } = policy.decide({ principal, action, resource })
    if (!allow) throw new AppError('policy.denied', reason)
  }

  async function firingView({
    at,
    triggerId: _,
    deliveryId,
    fields,
    ...firing
  }: Firing): Promise<TriggerFiring> {
    const run = firing.runId === null ? undefined : await workflow.read(firing.runId)
    return { ...firing, at: new Date(at).toISOString(), runState: run?.state ?? null }
  }

  async function viewOf({ createdAt, ...trigger }: Trigger): Promise<TriggerView> {
    const [last] = await readFirings(store, trigger.id, 1)
    const connection = (await connectors.list()).find(({ id }) => id === trigger.connectionId)
    return {
      ...trigger,
      connection: connection?.name ?? null,
      createdAt: new Date(createdAt).toISOString(),
      last: last ? await firingView(last) : null,
    }
  }

  return {
    hooks,
    receive: createReceive({ ...needs, wake: () => looking.wake() }),
    list: async () => Promise.all((await readTriggers(store)).map(viewOf)),
    async read(triggerId) {
      const view = await viewOf(await found(store, triggerId))
      const firings = await readFirings(store, triggerId, shownFirings)
      return { ...view, firings: await Promise.all(firings.map(firingView)) }
    },
    async create({ title, ...wanted }, by) {
      const { connectionId } = wanted
      assertListens(
        (await connectors.list()).find(({ id }) => id === connectionId),
        connectionId,
      )
      const ownTitle = await assertStartable(wanted, by)
      const now = clock.now()
      const who = actorOf(by)
      const trigger: Trigger = {
        ...wanted,
        id: newId('trg', now),
        title: title ?? ownTitle,
        paused: false,
        createdBy: who,
        createdAt: now.getTime(),
        requestedBy: who,
        started: 0,
        refused: 0,
      }
      await store.write(async (tx) => {
        await insertTrigger(tx, trigger)
        await tell(tx, 'trigger.created', { by, trigger })
      })
      return viewOf(trigger)
    },
    async change(triggerId, given, by) {
      const change = definedOf(given)
      const isOwn = Object.keys(change).some((name) => name !== 'paused')
      if (isOwn) await assertStartable({ ...(await found(store, triggerId)), ...change }, by)
      await store.write(async (tx) => {
        const wanted = { ...(await found(tx, triggerId)), ...change }
        const trigger = isOwn ? { ...wanted, requestedBy: actorOf(by) } : wanted
        await putTrigger(tx, trigger)
        if (trigger.paused) await skipWaiting(tx, triggerId, 'the trigger was paused')
        await tell(tx, 'trigger.changed', { by, trigger })
      })
      return viewOf(await found(store, triggerId))
    },
    async remove(triggerId, by) {
      await store.write(async (tx) => {
        const trigger = await found(tx, triggerId)
        await deleteTrigger(tx, triggerId)
        await tell(tx, 'trigger.removed', { by, trigger })
      })
    },
    counts: () => countTriggers(store),
    start() {
      unsubscribe = bus.subscribe(({ type }) => {
        if (type !== 'connection.removed') return
        isTidy = false
        looking.wake()
      })
      looking.start()
    },
    stop() {
      unsubscribe()
      looking.stop()
    },
    idle: looking.idle,
  }
}

const definedOf = (change: TriggerChange): Partial<Changeable> =>
  Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
