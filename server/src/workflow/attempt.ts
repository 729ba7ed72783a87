import { AppError, type Clock, reasonOf } from '../core/index.ts'
import type { TaskResult } from './action.ts'
import type { RunEvent } from './reducer.ts'

/** Why an attempt is told to stop. */
export type Abort = 'timeout' | 'cancel' | 'stop'

export type Ending =
  | { readonly kind: 'succeeded'; readonly result: TaskResult }
  | { readonly kind: 'failed'; readonly error: unknown; readonly aborted: Abort | null }
  /** It did not heed the signal in time. `returned` settles when it comes back after all. */
  | { readonly kind: 'gone'; readonly aborted: Abort; readonly returned: Promise<void> }

export type Attempt = { readonly ended: Promise<Ending>; abort(why: Abort): void }

type Options = {
  readonly execute: (signal: AbortSignal) => Promise<TaskResult>
  readonly timeoutSeconds: number
  /** How long an aborted attempt may take to return. */
  readonly graceSeconds: number
  readonly clock: Pick<Clock, 'after'>
}

export function startAttempt({ execute, timeoutSeconds, graceSeconds, clock }: Options): Attempt {
  const controller = new AbortController()
  let aborted: Abort | null = null
  let cancelGrace = (): void => undefined
  let giveUp: (ending: Ending) => void = () => undefined
  const gone = new Promise<Ending>((resolve) => {
    giveUp = resolve
  })
  const execution = Promise.resolve().then(() => execute(controller.signal))
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
  const cancelTimeout = clock.after(timeoutSeconds * 1000, () => abort('timeout'))
  const settled = execution.then(
    (result): Ending => ({ kind: 'succeeded', result }),
    (error: unknown): Ending => ({ kind: 'failed', error, aborted }),
  )
  const ended = Promise.race([settled, gone]).finally(() => {
    cancelTimeout()
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
    case 'timeout': {
      const reason = `timed out: did not end within ${about.timeoutSeconds} seconds`
      return { ...failed, type: 'TaskTimedOut', reason, retryable: idempotent, uncertain: !idempotent }
    }
    case 'cancel': {
      const reason = 'cancelled while it ran; whether it had its effect is not known'
      return { ...failed, type: 'TaskFailed', reason, retryable: false, uncertain: !idempotent }
    }
    case null: {
      const { error } = ending.kind === 'failed' ? ending : { error: undefined }
      const unknown = !(error instanceof AppError) || error.code === 'connector.ambiguous'
      const passing = unknown || error.status >= 500 || error.code === 'connector.rate_limited'
      return {
        ...failed,
        type: 'TaskFailed',
        reason: failureOf(error),
        retryable: passing && (idempotent || nothingWasDone(error)),
        uncertain: !idempotent && unknown,
        ...(error instanceof AppError ? { retryAfterSeconds: error.retryAfterSeconds } : {}),
      }
    }
  }
}

/** Connectors say so only when it is sure: then a retry is safe whatever the action is. */
const nothingWasDone = (error: unknown): boolean =>
  error instanceof AppError &&
  (error.code === 'connector.unavailable' || error.code === 'connector.rate_limited')

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
