import { AppError, type Clock, reasonOf } from '../core/index.ts'
import type { TaskResult } from './action.ts'
import type { RunEvent } from './run-status.ts'

/** Why an attempt is told to stop. */
export type Abort = 'timeout' | 'silence' | 'cancel' | 'stop'

export type Ending =
  | { readonly kind: 'succeeded'; readonly result: TaskResult }
  | { readonly kind: 'failed'; readonly error: unknown; readonly aborted: Abort | null }
  /** It did not heed the signal in time. `returned` settles when it comes back after all. */
  | { readonly kind: 'gone'; readonly aborted: Abort; readonly returned: Promise<void> }

export type Attempt = { readonly ended: Promise<Ending>; abort(why: Abort): void }

type Options = {
  readonly execute: (signal: AbortSignal, heartbeat: () => void) => Promise<TaskResult>
  readonly timeoutSeconds: number
  /** How long it may be silent; as long as it likes when undefined. */
  readonly heartbeatSeconds?: number | undefined
  /** How long an aborted attempt may take to return. */
  readonly graceSeconds: number
  readonly clock: Pick<Clock, 'after'>
}

export function startAttempt({
  execute,
  timeoutSeconds,
  heartbeatSeconds,
  graceSeconds,
  clock,
}: Options): Attempt {
  const controller = new AbortController()
  let aborted: Abort | null = null
  let cancelGrace = (): void => undefined
  let giveUp: (ending: Ending) => void = () => undefined
  const gone = new Promise<Ending>((resolve) => {
    giveUp = resolve
  })
  const execution = Promise.resolve().then(() => execute(controller.signal, heartbeat))
  const returned = execution.then(
    () => undefined,
    () => undefined,
  )
  const abort = (why: Abort): void => {
    if (aborted) return
    aborted = why
    cancelGrace = clock.after(graceSeconds * 1000, () => giveUp({ kind: 'gone', aborted: why, returned }))
    controller.abort(new Error(`the task was stopped: ${why}`))
  }
  let cancelSilence = (): void => undefined
  const heartbeat = (): void => {
    if (heartbeatSeconds === undefined || aborted) return
    cancelSilence()
    cancelSilence = clock.after(heartbeatSeconds * 1000, () => abort('silence'))
  }
  heartbeat()
  const cancelTimeout = clock.after(timeoutSeconds * 1000, () => abort('timeout'))
  const settled = execution.then(
    (result): Ending => ({ kind: 'succeeded', result }),
    (error: unknown): Ending => ({ kind: 'failed', error, aborted }),
  )
  const ended = Promise.race([settled, gone]).finally(() => {
    aborted ??= 'stop'
    cancelTimeout()
    cancelSilence()
    cancelGrace()
  })
  return { ended, abort }
}

type Failing = Exclude<Ending, { kind: 'succeeded' }>
type About = {
  readonly taskId: string
  readonly attempt: number
  readonly idempotent: boolean
  readonly timeoutSeconds: number
  readonly heartbeatSeconds?: number | undefined
  /** Only failures with these codes are tried again; any that may pass when undefined. */
  readonly retryCodes?: readonly string[] | undefined
  readonly at: number
  readonly jitter: number
}

/** What an ending without a result means for the run. */
export function eventOf(ending: Failing, about: About): RunEvent {
  const { taskId, attempt, idempotent, at, jitter } = about
  const failed = { taskId, attempt, at, jitter }
  switch (ending.aborted) {
    case 'stop':
      return {
        type: 'HostLost',
        taskId,
        attempt,
        repeatable: idempotent,
        reason: 'the server was stopped meanwhile',
      }
    case 'timeout':
    case 'silence': {
      const reason =
        ending.aborted === 'timeout'
          ? `timed out: did not end within ${about.timeoutSeconds} seconds`
          : `timed out: nothing was heard of it for ${about.heartbeatSeconds} seconds`
      const retryable = idempotent && about.retryCodes === undefined
      return { ...failed, type: 'TaskTimedOut', reason, retryable, uncertain: !idempotent }
    }
    case 'cancel': {
      const reason = 'cancelled while it ran; whether it had its effect is not known'
      return { ...failed, type: 'TaskFailed', reason, retryable: false, uncertain: !idempotent }
    }
    case null:
      return {
        ...failed,
        type: 'TaskFailed',
        ...classOf(ending.kind === 'failed' ? ending.error : undefined, about),
      }
  }
}

/** With these the service says that nothing happened: even what may not run twice may be tried again. */
const nothingHappened: ReadonlySet<string> = new Set(['connector.unavailable', 'connector.rate_limited'])
const unknownOutcome: ReadonlySet<string> = new Set(['connector.ambiguous'])

type Class = { reason: string; retryable: boolean; uncertain: boolean; retryAfterSeconds?: number }

function classOf(error: unknown, { idempotent, retryCodes }: About): Class {
  const reason = failureOf(error)
  if (!(error instanceof AppError)) {
    return { reason, retryable: idempotent && retryCodes === undefined, uncertain: !idempotent }
  }
  const { code, status, retryAfterSeconds } = error
  const uncertain = !idempotent && unknownOutcome.has(code)
  const passing = nothingHappened.has(code) || (idempotent && (status >= 500 || unknownOutcome.has(code)))
  const wanted = retryCodes === undefined || retryCodes.includes(code)
  const later = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  return { reason, retryable: passing && wanted, uncertain, ...later }
}

/** For the record: an unexpected error's own words stay out of it, because nobody has checked them for secrets. */
export function failureOf(error: unknown): string {
  if (error instanceof AppError) return `${error.code}: ${reasonOf(error)}`
  if (!(error instanceof Error)) return 'server.internal: something that is not an error was thrown'
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  return `server.internal: unexpected ${error.name}${code}; the log has the place`
}

/** Where an unexpected error came from, without its words. */
export function placesOf(error: unknown): string[] {
  if (!(error instanceof Error) || error instanceof AppError) return []
  return (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '))
}
