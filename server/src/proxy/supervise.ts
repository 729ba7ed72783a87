import type { Clock, Log } from '../core/index.ts'
import { type ChildProcessHandle, type FromChild, spawnChild } from './child-process.ts'

/** Keeps one child running while there is use for it: started again when it ends, sooner or later by how often that happened. */
export type Supervisor<To> = {
  /** Starts the child, unless there is one, or one is coming. */
  wake(): void
  stop(): Promise<void>
  /** Ends a child that has nothing to do, and its memory of what was lent with it. */
  rest(): Promise<void>
  isResting(): boolean
  isReady(): boolean
  send(message: To): void
  readonly pid: number | null
  readonly restarts: number
}

type Needs<To, From extends FromChild> = {
  main: 'child' | 'front-child'
  log: Log
  clock: Clock
  runtimeDir: string
  onReady(): void
  onLost(): void
  /** `answer` reaches the very child that asked: the next one numbers its questions anew. */
  onMessage(message: Exclude<From, { kind: 'ready' }>, answer: (message: To) => void): void
}

/** After this long without a fall, the next one counts as the first. */
const steadyMs = 30_000
const backoffMs = (attempt: number): number => Math.min(10_000, 100 * 2 ** attempt)

export function createSupervisor<To, From extends FromChild>({
  main,
  log,
  clock,
  runtimeDir,
  onReady,
  onLost,
  onMessage,
}: Needs<To, From>): Supervisor<To> {
  let child: ChildProcessHandle<To> | undefined
  let restarts = 0
  let attempt = 0
  let resting = true
  let cancelTimer = (): void => {}

  const start = (): void => {
    const launched = spawnChild<To, From>({
      main,
      runtimeDir,
      onMessage(message) {
        if (launched !== child) return
        if (message.kind === 'ready') onReady()
        // What is left of `From`, which the compiler cannot see of a type that it does not know yet.
        else onMessage(message as Exclude<From, { kind: 'ready' }>, launched.send)
      },
      onDiagnostic: (line) => log.warn({ line }, 'egress proxy'),
      onExit(how) {
        if (launched === child) restart(how)
      },
    })
    child = launched
    cancelTimer = clock.after(steadyMs, () => {
      attempt = 0
    })
  }
  const restart = (how: string): void => {
    child = undefined
    cancelTimer()
    onLost()
    const delayMs = backoffMs(attempt++)
    log.error({ how, delayMs }, 'the egress proxy ended and is started again')
    cancelTimer = clock.after(delayMs, () => {
      restarts++
      start()
    })
  }

  const letGo = (): ChildProcessHandle<To> | undefined => {
    resting = true
    cancelTimer()
    const last = child
    child = undefined
    return last
  }

  return {
    wake() {
      if (!resting) return
      resting = false
      start()
    },
    async stop() {
      await letGo()?.end()
    },
    async rest() {
      await letGo()?.kill()
    },
    isResting: () => resting,
    isReady: () => child?.isReady() ?? false,
    send: (message) => child?.send(message),
    get pid() {
      return child?.pid ?? null
    },
    get restarts() {
      return restarts
    },
  }
}
