import type { AuditEntry, LiveEvent } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { type Clock, type Log, reasonOf } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import { modelSpanOf } from './model-span.ts'
import { putTraceCursor, readTraceCursor } from './observe-store.ts'
import { type OtlpSettings, sendSpans } from './otlp.ts'
import { runName, type Span, spansOf } from './spans.ts'

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'page'>
  bus: Pick<Bus, 'subscribe' | 'since'>
  clock: Clock
  log: Log
  settings: OtlpSettings
}

export type Traces = {
  start(): void
  stop(): Promise<void>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/** What has a trace once it is over. */
const traced: ReadonlySet<string> = new Set(['run.finished', 'goal.model_asked'])
type Trace = { readonly about: string; readonly spans: readonly Span[] }

const eventsAtOnce = 1000
const entriesAtOnce = 500
const mostEntries = 20_000
const spansAtOnce = 400
const againMs = [1000, 5000, 30_000, 60_000] as const
/** The statuses after which OTLP has the same be sent again. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

/**
 * Sends the trace of each run once the run has ended, and of each question to a language model. How far that has come is on disk: a killed server goes on from there, and
 * what was sent twice has the same ids. While the collector is away nothing is held but that place in the outbox.
 */
export function createTraces(needs: Needs): Traces {
  const { store, bus, clock, log, settings } = needs
  let cursor: number | undefined
  let working: Promise<void> | undefined
  let more = false
  let failures = 0
  let stopped = true
  let cancelRetry = (): void => undefined
  let unsubscribe = (): void => undefined

  function wake(): void {
    more = true
    if (working || stopped) return
    cancelRetry()
    working = drain().then(rest, (error: unknown) => {
      working = undefined
      later(error)
    })
  }

  /** What came just as it was done is looked at, too. */
  function rest(): void {
    working = undefined
    if (more) wake()
  }

  function later(error: unknown): void {
    const delay = againMs[Math.min(failures++, againMs.length - 1)] ?? 0
    log.warn({ reason: reasonOf(error), againInMs: delay }, 'traces could not be sent; it is tried again')
    if (!stopped) cancelRetry = clock.after(delay, wake)
  }

  async function drain(): Promise<void> {
    while (more && !stopped) {
      more = false
      cursor ??= (await readTraceCursor(store)) ?? 0
      const events = await bus.since(cursor, eventsAtOnce)
      for (const event of events) {
        if (stopped) return
        if (traced.has(event.type)) await tell(event)
        cursor = event.seq
      }
      more ||= events.length === eventsAtOnce
    }
  }

  async function tell(event: LiveEvent): Promise<void> {
    const { about, spans } = await traceOf(event)
    for (let i = 0; i < spans.length; i += spansAtOnce) await send(about, spans.slice(i, i + spansAtOnce))
    await store.write((tx) => putTraceCursor(tx, event.seq))
  }

  async function traceOf({ type, subject, at, data }: LiveEvent): Promise<Trace> {
    if (type === 'goal.model_asked') {
      const { goalId } = Object(data) as { goalId?: string }
      if (typeof goalId !== 'string') return { about: subject, spans: [] }
      const span = modelSpanOf(goalId, await entriesOf(needs.audit, goalId))
      return { about: goalId, spans: span ? [span] : [] }
    }
    const runId = subject.replace(/^run:/, '')
    return { about: runId, spans: roundAt(spansOf(await entriesOf(needs.audit, runId)), Date.parse(at)) }
  }

  async function send(about: string, spans: readonly Span[]): Promise<void> {
    const { status } = await sendSpans(settings, spans)
    if (passing.has(status)) throw new Error(`the collector answered ${status}`)
    failures = 0
    if (status >= 300) log.error({ about, status, spans: spans.length }, 'the collector refused a trace')
  }

  return {
    start() {
      stopped = false
      unsubscribe = bus.subscribe(({ type }) => {
        if (traced.has(type)) wake()
      })
      wake()
    },
    async stop() {
      stopped = true
      unsubscribe()
      cancelRetry()
      await working
    },
    async idle() {
      while (working) await working
    },
  }
}

async function entriesOf(audit: Needs['audit'], correlation: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  let cursor: string | undefined
  do {
    const page = await audit.page({ cursor, limit: entriesAtOnce, order: 'asc', correlation })
    entries.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined && entries.length < mostEntries)
  return entries
}

/** A run that went on after its end has an end for each round: what belongs to the one that ended then. */
function roundAt(spans: readonly Span[], at: number): readonly Span[] {
  const ends = spans.flatMap(({ name }, i) => (name.startsWith(runName) ? [i] : []))
  const awayFrom = (i: number): number => Math.abs((spans[i]?.endAt ?? 0) - at)
  const own = ends.toSorted((a, b) => awayFrom(a) - awayFrom(b))[0]
  if (own === undefined) return []
  return spans.slice((ends[ends.indexOf(own) - 1] ?? -1) + 1, own + 1)
}
