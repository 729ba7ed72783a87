import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import type { Clock, Log } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import { expositionOf, type Family, type Sample } from './exposition.ts'
import { happeningOf } from './happenings.ts'
import { otlpSettings } from './otlp.ts'
import { logHappening } from './run-log.ts'
import { createRunMetrics } from './run-metrics.ts'
import { createTraces } from './traces.ts'

/** For whoever watches the server: numbers for Prometheus, lines in the log, traces by OTLP. */
type Observe = {
  /** What is counted beside the server's state, as Prometheus reads it. */
  metrics(): Promise<string>
  /** Whether traces are sent. */
  readonly traced: boolean
  /** Listens from now on. Returns what ends it. */
  start(): () => Promise<void>
}

type Counted = { readonly count: number; readonly oldestAt: number | null }

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'page' | 'counts'>
  bus: Pick<Bus, 'subscribe' | 'since'>
  clock: Clock
  log: Log
  /** Variables of OpenTelemetry: without an endpoint among them, nothing is sent. */
  env: Readonly<Record<string, string | undefined>>
  version: string
  work: () => Promise<{
    readonly runs: Readonly<Record<string, number>>
    readonly running: Counted & { readonly limitAt: number | null }
    readonly ambiguous: Counted
  }>
  /** When the approval that has waited longest was asked for. */
  oldestApprovalAt: () => Promise<number | null>
  /** How often each kind of second factor was shown since the start, and what came of it. */
  factors: () => readonly { readonly kind: string; readonly outcome: string; readonly count: number }[]
  /** Every part of the server, and whether it has a problem. */
  problems: () => Promise<ReadonlyMap<string, boolean>>
}

export function createObserve(needs: Needs): Observe {
  const { bus, log, audit } = needs
  const runs = createRunMetrics()
  const settings = otlpSettings(needs.env, needs.version)
  const traces = settings && createTraces({ ...needs, settings })
  return {
    async metrics() {
      return expositionOf([
        ...workFamilies(await needs.work(), await needs.oldestApprovalAt()),
        ...runs.families(),
        eventFamily(audit.counts()),
        factorFamily(needs.factors()),
        problemFamily(await needs.problems()),
      ])
    },
    traced: traces !== undefined,
    start() {
      const end = bus.subscribe((event) => {
        const happening = happeningOf(event)
        if (!happening) return
        runs.take(happening)
        logHappening(log, happening)
      })
      traces?.start()
      return async () => {
        end()
        await traces?.stop()
      }
    },
  }
}

function workFamilies(
  { runs, running, ambiguous }: Awaited<ReturnType<Needs['work']>>,
  oldestApprovalAt: number | null,
): Family[] {
  const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
    ...{ name, help, samples },
    kind: 'gauge',
  })
  const seconds = (at: number | null): number => (at === null ? 0 : at / 1000)
  return [
    gauge(
      'runs',
      'Runs that have not ended, by state.',
      Object.entries(runs).map(([state, value]) => ({ labels: { state }, value })),
    ),
    gauge('tasks', 'Tasks that run, and those of which nobody knows whether they had their effect.', [
      { labels: { state: 'Running' }, value: running.count },
      { labels: { state: 'Ambiguous' }, value: ambiguous.count },
    ]),
    gauge('task_oldest_timestamp_seconds', 'When the oldest attempt of them began; 0 when there is none.', [
      { labels: { state: 'Running' }, value: seconds(running.oldestAt) },
      { labels: { state: 'Ambiguous' }, value: seconds(ambiguous.oldestAt) },
    ]),
    gauge(
      'task_limit_timestamp_seconds',
      'When the first of the attempts that run has to have ended, by its own timeout; 0 when none runs.',
      [{ value: seconds(running.limitAt) }],
    ),
    gauge(
      'approval_oldest_timestamp_seconds',
      'When the approval was asked for that has waited longest; 0 when none waits.',
      [{ value: seconds(oldestApprovalAt) }],
    ),
  ]
}

const eventFamily = (recorded: ReturnType<Audit['counts']>): Family => ({
  name: 'events_total',
  kind: 'counter',
  help: 'Entries of the audit log since the server started.',
  samples: [...recorded].flatMap(([event, outcomes]) =>
    [...outcomes].map(([outcome, value]) => ({ labels: { event, outcome }, value })),
  ),
})

const factorFamily = (attempts: ReturnType<Needs['factors']>): Family => ({
  name: 'second_factor_attempts_total',
  kind: 'counter',
  help: 'Second factors that were shown since the server started, by kind and outcome.',
  samples: attempts.map(({ kind, outcome, count }) => ({ labels: { kind, outcome }, value: count })),
})

const problemFamily = (problems: ReadonlyMap<string, boolean>): Family => ({
  name: 'problem',
  kind: 'gauge',
  help: 'Whether a part of the server has a problem; /healthz says which.',
  samples: [...problems].map(([part, has]) => ({ labels: { part }, value: has ? 1 : 0 })),
})
