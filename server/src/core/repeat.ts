import type { Clock } from './clock.ts'
import { reasonOf } from './errors.ts'
import type { Log } from './log.ts'

/** Does `work` again and again, each time `milliseconds` after the last one ended. A failure is logged and tried again. */
export function repeat(
  { clock, log }: { clock: Pick<Clock, 'after'>; log: Log },
  { name, milliseconds, work }: { name: string; milliseconds: number; work: () => Promise<unknown> },
): () => void {
  let stopped = false
  let cancel = (): void => undefined
  const schedule = (): void => {
    if (stopped) return
    cancel = clock.after(milliseconds, () => {
      work()
        .catch((error: unknown) =>
          log.error({ work: name, reason: reasonOf(error) }, 'background work failed; it is tried again'),
        )
        .finally(schedule)
    })
  }
  schedule()
  return () => {
    stopped = true
    cancel()
  }
}
