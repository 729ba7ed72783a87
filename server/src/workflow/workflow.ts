import type { Json, RunDetail, RunState, RunView } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  canonicalJson,
  type Log,
  newId,
  type Principal,
  traceparentOf,
} from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import type { Action } from './action.ts'
import type { PlanFlow } from './beginning.ts'
import { type Changing, createChanging } from './changing.ts'
import { checkedPlan } from './check-plan.ts'
import { createDrift, type Drift } from './drift.ts'
import type { ApprovalClaim, ApprovalGate } from './gate.ts'
import { createHost } from './host.ts'
import type { OnBoundary } from './host-needs.ts'
import { createHosts, type HostsCondition } from './hosts.ts'
import { type Plan, plainJson, planDigestOf } from './plan.ts'
import { createPlanning, type Planning } from './planning.ts'
import { next } from './reducer.ts'
import { rulesOf } from './rules.ts'
import { createRunCache } from './run-cache.ts'
import type { HostName, RunRecord } from './run-record.ts'
import { type ApprovalDecision, isRunEnded, newRun } from './run-status.ts'
import { createSharedKeys } from './shared-keys.ts'
import { createSteering, type Steering } from './steering.ts'
import { createTemporalHost, type TemporalNeeds } from './temporal/index.ts'
import { createTransitions } from './transition.ts'
import { runDetail, runView } from './views.ts'
import {
  countEnded,
  type EndedRuns,
  holdsApproval,
  insertRun,
  readRun,
  readState,
  readSummaries,
  runByKey,
  type WorkInHand,
  workInHand,
} from './workflow-store.ts'

export type Workflow = Steering &
  Changing &
  Drift & {
    readonly planning: Planning
    /**
     * Stores a run; it begins when the transaction is committed. The same requester's same idempotency key gives the run that
     * exists already. With a `tx` the run exists exactly if the caller's own change does.
     */
    start(tx: Tx | undefined, request: StartRequest): Promise<RunDetail>
    /** The run that this key has started already, if it has; throws `request.conflict` when it was for another input. */
    startedBefore(request: StartedBefore): Promise<RunDetail | undefined>
    read(runId: string): Promise<RunDetail>
    page(query: {
      cursor?: string | undefined
      limit: number
      state?: RunState | undefined
    }): Promise<{ items: RunView[]; next: string | null }>
    /** What became of the runs that `<kind>:<id>` asked for and that have ended since. */
    endedOf(requestedBy: string, since: Date): Promise<EndedRuns>
    /** An approval was answered, expired or voided; called in the transaction that says so. Told twice, it counts once. */
    decide(tx: Tx, decision: ApprovalDecision & { runId: string }): Promise<void>
    /** Whether the task may still begin with this approval. */
    waitsWith(reader: Reader, claim: Pick<ApprovalClaim, 'runId' | 'taskId' | 'approvalId'>): Promise<boolean>
    /** Resolves when the run has ended, at once if it has. */
    whenEnded(runId: string): Promise<RunDetail>
    /** What is under way, as a watcher counts it. */
    inHand(): Promise<WorkInHand>
    /** How what carries the runs is. */
    hosts(): Promise<HostsCondition>
    run(): Promise<void>
    stop(): Promise<void>
  }

export type StartRequest = {
  readonly plan: Plan
  readonly requestedBy: Principal
  /** Started without a person at the terminal. */
  readonly unattended: boolean
  readonly idempotencyKey?: string | undefined
  /** The key is for this very plan, and not for whatever a flow makes of the same input. */
  readonly exactly?: boolean | undefined
  /** What asked for it, as a span of another trace: recorded, so that the two can be linked. */
  readonly traceparent?: string | undefined
  /** By task: what was found about it. Then the run is stored and shown, and nothing of it is executed. */
  readonly observed?: ReadonlyMap<string, string>
}

export type StartedBefore = {
  readonly by: Principal
  readonly idempotencyKey: string
  readonly flow: string
  readonly input: Json
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  log: Log
  actions: readonly Action[]
  gate: ApprovalGate
  /** Where its environment names a Temporal, new runs are Temporal's; those of the embedded host go on there to their end. */
  temporal?: TemporalNeeds | undefined
  /** Plans the runs that are tasks of others. */
  planFlow: PlanFlow
  /** Tasks at once; 64 unless told. Those that end together share a commit, so fewer of them mean more commits. */
  concurrency?: number
  onBoundary?: OnBoundary
}

export function createWorkflow(needs: Needs): Workflow {
  const { store, audit, bus, clock, log, gate } = needs
  const actions = byName(needs.actions)
  const cache = createRunCache()
  const transitions = createTransitions({ audit, bus, clock, actions, cache, onOther: onChanged })
  const waiting = new Map<string, ((run: RunRecord) => void)[]>()
  const shared = {
    store,
    transitions,
    gate,
    actions,
    clock,
    log,
    concurrency: needs.concurrency ?? 64,
    keys: createSharedKeys(),
    planFlow: needs.planFlow,
    startChild,
    onBoundary: needs.onBoundary ?? (() => undefined),
    onFinished: announceEnd,
  }
  const hosts = createHosts({
    store,
    embedded: createHost(shared),
    temporal: createTemporalHost({ ...shared, temporal: needs.temporal }),
  })
  const steering = createSteering({ store, transitions, gate, audit, bus, onChanged })
  const changing = createChanging({ store, transitions, gate, actions, onChanged })
  const planning = createPlanning({ store, actions })

  function announceEnd(run: RunRecord): void {
    const calls = waiting.get(run.id) ?? []
    waiting.delete(run.id)
    for (const call of calls) call(run)
  }

  async function found(reader: Reader, runId: string): Promise<RunRecord> {
    const run = await readRun(reader, runId)
    if (!run) throw new AppError('run.not_found', `there is no run '${runId}'`)
    return run
  }

  async function start(tx: Tx, request: StartRequest): Promise<RunDetail> {
    const { requestedBy, unattended, idempotencyKey } = request
    const plan = checkedPlan(request.plan, actions)
    const asked = { requestedBy: actorOf(requestedBy), unattended, parent: null }
    const run = newRecord(plan, { ...asked, host: hosts.forNewRuns }, clock.now())
    const inserted = await insertRun(tx, run, idempotencyKey)
    if (!inserted) {
      const before = await existing(tx, plan, run.requestedBy, idempotencyKey ?? '')
      if (request.exactly && before.planDigest !== run.planDigest) throw usedFor(before)
      return runDetail(before)
    }
    await begin(tx, run, request.traceparent)
    return request.observed ? observe(tx, run.id, request.observed) : runDetail(run)
  }

  async function observe(tx: Tx, runId: string, reasons: ReadonlyMap<string, string>): Promise<RunDetail> {
    const transition = await transitions.open(tx, runId)
    if (!transition) throw new AppError('run.not_found', `there is no run '${runId}'`)
    transitions.tell(transition, { type: 'RunObserved', reasons })
    await transitions.save(tx, transition)
    await onChanged(tx, transition.run)
    return runDetail(transition.run)
  }

  /** The run that is a task of another. */
  async function startChild(
    tx: Tx,
    { plan, parent, taskId }: { plan: Plan; parent: RunRecord; taskId: string },
  ): Promise<string> {
    const { requestedBy, unattended, id: runId } = parent
    const asked = { requestedBy, unattended, parent: { runId, taskId } }
    const run = newRecord(checkedPlan(plan, actions), { ...asked, host: hosts.forNewRuns }, clock.now())
    await insertRun(tx, run, undefined)
    const attempt = parent.status.tasks.get(taskId)?.attempt ?? 0
    await begin(tx, run, traceparentOf({ runId, taskId, attempt }))
    return run.id
  }

  async function begin(tx: Tx, run: RunRecord, traceparent: string | undefined): Promise<void> {
    const { id, title, flow, plan, planDigest, unattended, parentRunId } = run
    const asked = traceparent === undefined ? {} : { traceparent }
    const tasks = plan.tasks.map((task) => task.id)
    await audit.record(tx, {
      type: 'run.started',
      outcome: 'intent',
      actor: run.requestedBy,
      target: `run:${id}`,
      correlation: id,
      detail: { flow, title, planDigest, unattended, parentRunId, tasks, ...asked },
    })
    await bus.publish(tx, { type: 'run.started', subject: `run:${id}`, data: { runId: id, flow, title } })
    cache.put(tx, run)
    await hosts.tell(tx, run)
  }

  async function existing(
    tx: Reader,
    plan: Pick<Plan, 'flow' | 'input'>,
    requestedBy: string,
    key: string,
  ): Promise<RunRecord> {
    const id = await runByKey(tx, requestedBy, key)
    const run = await found(tx, id ?? '')
    if (run.flow === plan.flow && canonicalJson(run.plan.input) === canonicalJson(plan.input)) return run
    throw usedFor(run)
  }

  /** Somebody may have to go on with the run, and who waits for its end is told. */
  async function onChanged(tx: Tx, run: RunRecord): Promise<void> {
    await hosts.tell(tx, run)
    if (isRunEnded(run.status.state)) tx.afterCommit(() => announceEnd(run))
  }

  return {
    ...steering,
    ...changing,
    ...createDrift({ store, actions }),
    planning,
    start: (tx, request) => (tx ? start(tx, request) : store.write((own) => start(own, request))),
    async startedBefore({ by, idempotencyKey, flow, input }) {
      const requestedBy = actorOf(by)
      if ((await runByKey(store, requestedBy, idempotencyKey)) === undefined) return undefined
      return runDetail(await existing(store, { flow, input: plainJson(input) }, requestedBy, idempotencyKey))
    },
    read: async (runId) => runDetail(await found(store, runId)),
    async page({ cursor, limit, state }) {
      const items = await readSummaries(store, { cursor, limit: limit + 1, state })
      const shown = items.slice(0, limit)
      return { items: shown.map(runView), next: items.length > limit ? (shown.at(-1)?.id ?? null) : null }
    },
    endedOf: (requestedBy, since) => countEnded(store, requestedBy, since.getTime()),
    async decide(tx, { runId, ...decision }) {
      const transition = await transitions.open(tx, runId)
      if (!transition || !transitions.tell(transition, { type: 'ApprovalDecided', ...decision })) return
      await transitions.save(tx, transition)
      await onChanged(tx, transition.run)
    },
    waitsWith: holdsApproval,
    async whenEnded(runId) {
      const { promise, resolve } = Promise.withResolvers<RunRecord>()
      waiting.set(runId, [...(waiting.get(runId) ?? []), resolve])
      const state = await readState(store, runId)
      if (state && !isRunEnded(state)) return runDetail(await promise)
      const others = waiting.get(runId)?.filter((call) => call !== resolve) ?? []
      if (others.length > 0) waiting.set(runId, others)
      else waiting.delete(runId)
      return runDetail(await found(store, runId))
    },
    inHand: () => workInHand(store),
    hosts: () => hosts.condition(),
    run: () => hosts.run(),
    stop: () => hosts.stop(),
  }
}

const usedFor = ({ id }: RunRecord): AppError =>
  new AppError('request.conflict', `the idempotency key was used for run ${id} with another input`)

function byName(actions: readonly Action[]): ReadonlyMap<string, Action> {
  const map = new Map(actions.map((action) => [action.name, action]))
  if (map.size < actions.length) throw new Error('two actions have the same name')
  return map
}

type Asked = {
  readonly requestedBy: string
  readonly unattended: boolean
  readonly host: HostName
  /** The task that the run is. */
  readonly parent: { readonly runId: string; readonly taskId: string } | null
}

function newRecord(plan: Plan, { requestedBy, unattended, host, parent }: Asked, now: Date): RunRecord {
  const tasks = new Map(plan.tasks.map((task) => [task.id, rulesOf(task)]))
  const [status] = next(newRun, { type: 'RunStarted', tasks })
  return {
    id: newId('run', now),
    host,
    flow: plan.flow,
    title: plan.title,
    requestedBy,
    unattended,
    planDigest: planDigestOf(plan),
    createdAt: now.getTime(),
    parentRunId: parent?.runId ?? null,
    parentTaskId: parent?.taskId ?? null,
    plan,
    revision: 0,
    finishedAt: null,
    status,
    facts: new Map(),
  }
}
