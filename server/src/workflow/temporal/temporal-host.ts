import { reasonOf, type Secret } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { HostNeeds } from '../host-needs.ts'
import { priorityOf } from '../shared-keys.ts'
import { busyRuns, readRun } from '../workflow-store.ts'
import { createCarrier } from './activities.ts'
import { type Link, openLink, temporalPackages } from './connection.ts'
import { type TemporalSettings, temporalSettings } from './settings.ts'
import { closeSignal, countSignals, openSignal, openSignals, signalOf } from './temporal-store.ts'

/** Carries runs on Temporal. What is true of a run stays in our tables: Temporal says when, and keeps count of who is at it. */
export type TemporalHost = {
  /** Resolves when it tries to connect; throws `temporal.not_installed`. */
  run(): Promise<void>
  stop(): Promise<void>
  /** News of a run, in the transaction that makes them: Temporal hears of them once they are committed, however often it is asked. */
  tell(tx: Tx, runId: string): Promise<void>
  condition(): Promise<TemporalCondition>
}

export type TemporalCondition = {
  readonly address: string
  readonly namespace: string
  readonly state: 'up' | 'connecting' | 'sealed' | 'stopped'
  /** Why it is not up, in words. */
  readonly problem: string | null
  /** Runs that Temporal is yet to hear of. */
  readonly untold: number
  /** Attempts that run in this process. */
  readonly running: number
}

export type TemporalNeeds = {
  /** `KEYWARD_TEMPORAL_ADDRESS` and those that belong to it; without an address there is no Temporal. */
  env: Readonly<Record<string, string | undefined>>
  /** What payloads are sealed with; undefined while the vault is sealed. */
  key: () => Promise<Secret | undefined>
  /** How long a worker may say nothing before its attempts count as lost; 20 unless told. */
  heartbeatSeconds?: number
  /** Events after which a run goes on in a new history of Temporal; 2,000 unless told, about 200 tasks. */
  longHistory?: number
}

type Needs = HostNeeds & { temporal: TemporalNeeds | undefined }

const sweepMs = 1000
/** Signals that are on their way at once. */
const mostAtOnce = 16

/** Undefined when the environment names no Temporal. Throws `request.invalid` when it names one in a way that makes no sense. */
export function createTemporalHost(needs: Needs): TemporalHost | undefined {
  const { temporal } = needs
  const settings = temporal && temporalSettings(temporal.env)
  return settings && temporal && hostAt(settings, { ...needs, temporal })
}

function hostAt(settings: TemporalSettings, needs: Needs & { temporal: TemporalNeeds }): TemporalHost {
  const { store, clock, log, temporal, onBoundary } = needs
  const heartbeatSeconds = temporal.heartbeatSeconds ?? 20
  const carrier = createCarrier({ ...needs, heartbeatSeconds, news })
  const waiting = new Set<string>()
  const onTheWay = new Set<Promise<void>>()
  let link: Link | undefined
  let state: TemporalCondition['state'] = 'stopped'
  let problem: string | null = null
  let stopping = true
  let checking = false
  let cancelSweep = (): void => undefined
  let sweeping = Promise.resolve()

  async function connect(key: Secret): Promise<void> {
    try {
      const run = { heartbeatSeconds, longHistory: temporal.longHistory ?? 2000 }
      const opened = await openLink({ settings, key, carrier, log, concurrency: needs.concurrency, run })
      opened.over.catch((error) => lose(opened, `its worker ended: ${reasonOf(error)}`))
      link = opened
      setState('up', null)
      for (const { id } of await busyRuns(store, 'temporal')) waiting.add(id)
    } catch (error) {
      setState('connecting', reasonOf(error))
    }
  }

  function setState(now: TemporalCondition['state'], why: string | null): void {
    if (now === state && why === problem) return
    state = now
    problem = why
    log.info({ state, problem, namespace: settings.namespace }, 'the Temporal host')
  }

  function lose(lost: Link, why: string): void {
    if (link !== lost) return
    link = undefined
    setState('connecting', why)
    lost.close().catch((error) => log.error({ reason: reasonOf(error) }, 'a connection could not be closed'))
  }

  async function disconnect(now: TemporalCondition['state'], why: string | null): Promise<void> {
    const closing = link
    link = undefined
    setState(now, why)
    await Promise.all(onTheWay)
    await closing?.close()
  }

  /** Follows the vault, connects when it can, and sends what nobody has sent. */
  async function sweep(): Promise<void> {
    const key = await temporal.key()
    if (!key) {
      if (state !== 'sealed') {
        const quiet = carrier.stop()
        await disconnect('sealed', 'the vault is sealed, so nothing that Temporal keeps can be read')
        await quiet
      }
      return
    }
    if (!link) {
      carrier.start()
      await connect(key)
    }
    carrier.remind()
    for (const { runId } of await openSignals(store, 1000)) waiting.add(runId)
    send()
    if (link) check(link)
  }

  /** A worker that has lost Temporal tries on by itself and says nothing; so it is asked. */
  function check(asked: Link): void {
    if (checking) return
    checking = true
    const heard = (now: TemporalCondition['state'], why: string | null): void => {
      if (link === asked) setState(now, why)
    }
    const answered: Promise<void> = asked
      .check()
      .then(
        () => heard('up', null),
        (error) => heard('connecting', `no Temporal answers at ${settings.address}: ${reasonOf(error)}`),
      )
      .finally(() => {
        checking = false
        onTheWay.delete(answered)
      })
    onTheWay.add(answered)
  }

  function again(): void {
    if (stopping) return
    sweeping = sweep()
      .catch((error) => log.error({ reason: reasonOf(error) }, 'the Temporal host could not look around'))
      .finally(() => {
        cancelSweep = stopping ? () => undefined : clock.after(sweepMs, again)
      })
  }

  async function news(tx: Tx, runId: string): Promise<void> {
    await openSignal(tx, runId)
    tx.afterCommit(() => {
      waiting.add(runId)
      send()
    })
  }

  function send(): void {
    for (const runId of waiting) {
      if (!link || onTheWay.size >= mostAtOnce) return
      waiting.delete(runId)
      const sent: Promise<void> = deliver(link, runId).finally(() => {
        onTheWay.delete(sent)
        send()
      })
      onTheWay.add(sent)
    }
  }

  async function deliver(to: Link, runId: string): Promise<void> {
    try {
      const signal = await signalOf(store, runId)
      const run = await readRun(store, runId)
      await onBoundary('telling', runId)
      if (run) await to.signal({ runId, priority: priorityOf(run) })
      await onBoundary('told', runId)
      if (signal) await store.write((tx) => closeSignal(tx, signal))
    } catch (error) {
      log.warn({ runId, reason: reasonOf(error) }, 'Temporal was not told of a run; trying again')
    }
  }

  return {
    async run() {
      if (!stopping) return
      await temporalPackages()
      stopping = false
      setState('connecting', null)
      carrier.start()
      again()
    },
    async stop() {
      if (stopping) return
      stopping = true
      cancelSweep()
      const quiet = carrier.stop()
      await sweeping
      await disconnect('stopped', null)
      await quiet
    },
    async tell(tx, runId) {
      await news(tx, runId)
      tx.afterCommit(() => {
        carrier
          .heedCancel(runId)
          .catch((error) => log.error({ runId, reason: reasonOf(error) }, 'a run could not be looked at'))
      })
    },
    async condition() {
      const { address, namespace } = settings
      const untold = await countSignals(store)
      return { address, namespace, state, problem, untold, running: carrier.running() }
    },
  }
}
