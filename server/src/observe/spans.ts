import type { AuditEntry, Json } from '@keyward/contract'
import { z } from 'zod'
import { attemptSpanId, parseTraceparent, type SpanContext, spanIdOf, traceIdOf } from '../core/index.ts'

export type Attributes = Readonly<Record<string, string | number | boolean>>

export type Span = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string | undefined
  readonly name: string
  readonly kind: 'internal' | 'client'
  /** Milliseconds. */
  readonly startAt: number
  readonly endAt: number
  readonly attributes: Attributes
  readonly failed: boolean
  readonly links: readonly SpanContext[]
  readonly events: readonly SpanEvent[]
}
type SpanEvent = { readonly at: number; readonly name: string; readonly attributes: Attributes }

/** What the name of the span of a run begins with. */
export const runName = 'invoke_workflow'

type Building = { -readonly [K in keyof Span]: Span[K] } & { events: SpanEvent[] }

/**
 * The trace of a run, as its entries in the audit log tell it: the run, the attempts of its tasks, its approvals, sandboxes and
 * requests, and what else happened as events of those. Names and numbers that are chosen here; never an argument, an output or a
 * reason. Nothing depends on who reads it or when, so that it can be told again.
 * @param entries of one run, oldest first.
 */
export function spansOf(entries: readonly AuditEntry[]): Span[] {
  const spans: Span[] = []
  const open = new Map<string, Building>()
  let rounds = 0
  let run: Building | undefined

  function end(key: string, entry: AuditEntry, ending: Ending): void {
    const span = open.get(key)
    if (!span) return
    open.delete(key)
    const attributes = { ...span.attributes, ...ending.attributes }
    spans.push({ ...span, endAt: Date.parse(entry.at), attributes, failed: ending.failed })
  }

  function endRun(entry: AuditEntry): void {
    for (const key of [...open.keys()].filter((key) => key !== 'run'))
      end(key, entry, { attributes: {}, failed: false })
    const { state = '' } = told.parse(entry.detail)
    end('run', entry, { attributes: { 'keyward.run.state': state }, failed: state === 'Failed' })
    rounds++
  }

  /** Of what happened within a task: its sandbox, else its attempt, else the run. */
  const around = (taskId: string | undefined): Building | undefined =>
    (taskId && (open.get(`sandbox ${taskId}`) ?? open.get(`task ${taskId}`))) || run

  for (const entry of entries) {
    const { type } = entry
    const taskId = taskIn(entry)
    const start = starts[type]
    const ending = ends[type]
    if (type === 'run.started' || type === 'run.retried') {
      run = runSpan(entry, rounds, run)
      open.set('run', run)
    } else if (type === 'run.finished') endRun(entry)
    else if (start) open.set(keyOf(entry, taskId), start(entry, taskId, parentIn(type, around(taskId), run)))
    else if (ending) end(keyOf(entry, taskId), entry, ending(entry))
    else if (type === 'goal.started') linkToGoal(run, entry)
    else if (requests.has(type)) spans.push(requestSpan(entry, around(taskId)?.spanId))
    else around(taskId)?.events.push(eventOf(entry))
  }
  return spans
}

type Ending = { readonly attributes: Attributes; readonly failed: boolean }
type Types<T> = { readonly [Type in AuditEntry['type']]?: T }

const starts: Types<
  (entry: AuditEntry, taskId: string | undefined, parentSpanId: string | undefined) => Building
> = {
  'task.started': attemptSpan,
  'approval.requested': approvalSpan,
  'sandbox.started': sandboxSpan,
}

const ends: Types<(entry: AuditEntry) => Ending> = {
  'task.finished': attemptEnd,
  'sandbox.finished': sandboxEnd,
  'approval.approved': approvalEnd,
  'approval.denied': approvalEnd,
  'approval.expired': approvalEnd,
  'approval.cancelled': approvalEnd,
  'approval.voided': approvalEnd,
  'approval.superseded': approvalEnd,
}

const requests: ReadonlySet<string> = new Set(['egress.allowed', 'egress.denied', 'lease.misused'])

/** What lies in what; an attempt and a question are parts of the run itself. */
const parentIn = (
  type: AuditEntry['type'],
  near: Building | undefined,
  run: Building | undefined,
): string | undefined => (type === 'sandbox.started' ? near : run)?.spanId

/** What begins and ends together: an approval by its own id, else by its task. */
function keyOf({ type, target }: AuditEntry, taskId: string | undefined): string {
  const [kind = ''] = type.split('.')
  return kind === 'approval' ? target : `${kind} ${taskId}`
}

const eventOf = ({ at, type, outcome, target }: AuditEntry): SpanEvent => ({
  at: Date.parse(at),
  name: type,
  attributes: { 'keyward.outcome': outcome, 'keyward.target': target },
})

const text = z.string().optional().catch(undefined)
const whole = z.int().optional().catch(undefined)
/** What is read of entries; each may be absent or of another kind in another type of entry. */
const told = z
  .object({
    ...{ flow: text, state: text, reason: text, taskId: text, traceparent: text, action: text, risk: text },
    ...{ channel: text, driver: text, limit: text, method: text, requestedBy: text, source: text },
    ...{ attempt: whole, exitCode: whole, status: whole, bytesIn: whole, bytesOut: whole },
  })
  .catch({})

function spanAt(
  { at, correlation }: AuditEntry,
  spanId: string,
  parentSpanId: string | undefined,
): Omit<Building, 'name' | 'attributes'> {
  const startAt = Date.parse(at)
  return {
    ...{ traceId: traceIdOf(correlation), spanId, parentSpanId, kind: 'internal', startAt, endAt: startAt },
    ...{ failed: false, links: [], events: [] },
  }
}

function runSpan(entry: AuditEntry, round: number, before: Building | undefined): Building {
  const { flow = before?.attributes['keyward.flow'] ?? 'unknown', traceparent = '' } = told.parse(
    entry.detail,
  )
  const link = parseTraceparent(traceparent)
  return {
    ...spanAt(entry, spanIdOf('run', entry.correlation, round), undefined),
    name: `${runName} ${flow}`,
    attributes: {
      'keyward.run.id': entry.correlation,
      'keyward.flow': flow,
      'gen_ai.operation.name': runName,
      'gen_ai.workflow.name': flow,
    },
    links: link ? [link] : [],
  }
}

/** Where the question about a goal stands in the goal's trace. */
export const modelContextOf = (goalId: string): SpanContext => ({
  traceId: traceIdOf(goalId),
  spanId: spanIdOf('model', goalId),
  sampled: true,
})

/** A goal has a trace of its own where a language model was asked. */
function linkToGoal(run: Building | undefined, entry: AuditEntry): void {
  if (run && told.parse(entry.detail).source === 'model')
    run.links = [...run.links, modelContextOf(entry.target.replace(/^goal:/, ''))]
  run?.events.push(eventOf(entry))
}

function attemptSpan(
  entry: AuditEntry,
  taskId: string | undefined,
  parentSpanId: string | undefined,
): Building {
  const { action = 'unknown', attempt = 0, requestedBy = '' } = told.parse(entry.detail)
  const agent = requestedBy.startsWith('agent:') ? requestedBy.slice('agent:'.length) : undefined
  const spanId = attemptSpanId({ runId: entry.correlation, taskId: taskId ?? '', attempt })
  return {
    ...spanAt(entry, spanId, parentSpanId),
    name: `execute_tool ${action}`,
    attributes: about({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': action,
      'gen_ai.agent.id': agent,
      'keyward.task.id': taskId,
      'keyward.task.attempt': attempt,
    }),
  }
}

function attemptEnd({ detail, outcome }: AuditEntry): Ending {
  const { state = '', reason } = told.parse(detail)
  // The code that a reason begins with; its words stay in the audit log.
  const code = /^([a-z_]+\.[a-z_]+):/.exec(reason ?? '')?.[1]
  const attributes = about({ 'keyward.task.state': state, 'error.type': code })
  return { attributes, failed: outcome === 'failed' }
}

function approvalSpan(
  entry: AuditEntry,
  taskId: string | undefined,
  parentSpanId: string | undefined,
): Building {
  const { risk } = told.parse(entry.detail)
  return {
    ...spanAt(entry, spanIdOf('approval', entry.target), parentSpanId),
    name: 'approval',
    attributes: about({ 'keyward.task.id': taskId, 'keyward.approval.risk': risk }),
  }
}

function approvalEnd({ type, detail }: AuditEntry): Ending {
  const { channel = 'none' } = told.parse(detail)
  const outcome = type.slice('approval.'.length)
  return {
    attributes: { 'keyward.approval.outcome': outcome, 'keyward.approval.channel': channel },
    failed: false,
  }
}

function sandboxSpan(
  entry: AuditEntry,
  _taskId: string | undefined,
  parentSpanId: string | undefined,
): Building {
  const { driver } = told.parse(entry.detail)
  return {
    ...spanAt(entry, spanIdOf('sandbox', entry.seq), parentSpanId),
    name: 'invoke_agent',
    attributes: about({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.id': entry.actor.replace(/^agent:/, ''),
      'keyward.sandbox.driver': driver,
    }),
  }
}

function sandboxEnd({ detail, outcome }: AuditEntry): Ending {
  const { exitCode, limit } = told.parse(detail)
  const attributes = about({ 'process.exit.code': exitCode, 'keyward.sandbox.limit': limit })
  return { attributes, failed: outcome !== 'done' }
}

/** `destination:host:port`; a host may have colons. It is told when it is over: nothing says when it began. */
function requestSpan(entry: AuditEntry, parentSpanId: string | undefined): Span {
  const { method, status, bytesIn, bytesOut } = told.parse(entry.detail)
  const [, host, port] = /^destination:(.*):(\d+)$/.exec(entry.target) ?? []
  const isHttp = method !== undefined && /^[A-Z]{3,10}$/.test(method)
  return {
    ...spanAt(entry, spanIdOf('request', entry.seq), parentSpanId),
    name: isHttp ? method : 'connect',
    kind: 'client',
    attributes: about({
      'http.request.method': isHttp ? method : undefined,
      'server.address': host,
      'server.port': port === undefined ? undefined : Number(port),
      'http.response.status_code': status,
      'http.request.size': bytesOut,
      'http.response.size': bytesIn,
      'keyward.egress.event': entry.type,
    }),
    failed: entry.outcome !== 'done',
  }
}

/** `task:<run>:<task>`; of what is not about the task itself, as its detail says. */
function taskIn({ target, correlation, detail }: AuditEntry): string | undefined {
  const start = `task:${correlation}:`
  return target.startsWith(start) ? target.slice(start.length) : told.parse(detail).taskId
}

export const about = (given: Readonly<Record<string, Json | undefined>>): Attributes =>
  Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [[name, value]]
        : [],
    ),
  )
