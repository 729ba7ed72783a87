// The workflow of Temporal: what runs in its sandbox, bundled ahead. It decides nothing: the reducer is applied in the transaction
// that writes the run's rows, and this carries out what that said is due. So a newer reducer finds no history that it must
// repeat. A change of this file must replay the histories of server/test/support/temporal-histories, or use `patched`.
import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow'
import type { Activities, Attempted, RunSettings, Seen, TaskCommand } from './shapes.ts'

/** Above the longest timeout of a task; the attempt's own timeout is the worker's. */
const longestAttempt = '32 days'
const troubledMs = 1000
/** So much longer than long, a history is left even while attempts run; Temporal ends what has 51,200 events or 50 MiB. */
const tooLong = 4
const longBytes = 4 * 1024 * 1024

export async function keywardRun(runId: string, settings: RunSettings): Promise<void> {
  // Temporal's own cancel is not heeded: a run is cancelled in Keyward, where it is judged and recorded.
  await CancellationScope.nonCancellable(() => follow(runId, settings))
}

async function follow(runId: string, settings: RunSettings): Promise<void> {
  const { look, retryDue } = proxyLocalActivities<Activities>({
    startToCloseTimeout: '1 minute',
    retry: { initialInterval: '200 milliseconds', maximumInterval: '10 seconds' },
  })
  const { carryOut, takeUp } = proxyActivities<Activities>({
    startToCloseTimeout: longestAttempt,
    heartbeatTimeout: `${settings.heartbeatSeconds} seconds`,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
  })
  const inHand = new Map<string, CancellationScope>()
  let atWork = 0
  let news = true
  setHandler(defineSignal('woken'), () => {
    news = true
  })

  /** One thing at a time for a task; what comes of it says what is due next. */
  function take(taskId: string, work: () => Promise<Seen>): void {
    if (inHand.has(taskId)) return
    const scope = new CancellationScope()
    inHand.set(taskId, scope)
    const done = async (): Promise<void> => {
      const seen = await scope.run(work).catch(() => undefined)
      // Its worker is gone, or could not say what happened. The rows know.
      if (!seen) await sleep(troubledMs)
      else if (seen.againMs !== null) await sleep(seen.againMs)
      inHand.delete(taskId)
      // What an attempt saw of the end may be old: a run that failed can be made to go on. So the last look is the workflow's own.
      if (seen?.againMs === null && !seen.ended) heed(seen)
      else news = true
    }
    void done()
  }

  async function waitAndRetry({ taskId, attempt }: Attempted, at: number): Promise<Seen> {
    await sleep(Math.max(0, at - Date.now()))
    return worked(() => retryDue(runId, { taskId, attempt }))
  }

  async function worked(work: () => Promise<Seen>): Promise<Seen> {
    atWork++
    try {
      return await work()
    } finally {
      atWork--
    }
  }

  function heed(seen: Seen): void {
    for (const command of seen.commands) if ('taskId' in command) begin(command)
    for (const attempted of seen.running) take(attempted.taskId, () => worked(() => takeUp(runId, attempted)))
  }

  function begin(command: TaskCommand): void {
    const { taskId } = command
    if (command.type === 'CancelTask') inHand.get(taskId)?.cancel()
    else if (command.type === 'SetTimer') take(taskId, () => waitAndRetry(command, command.at))
    else take(taskId, () => worked(() => carryOut(runId, command)))
  }

  /** Whether the rest goes into a new history: when nothing runs that would have to be handed over, or when it cannot wait. */
  function isLong(): boolean {
    const { continueAsNewSuggested, historyLength, historySize } = workflowInfo()
    const { longHistory } = settings
    if (longHistory === undefined) return continueAsNewSuggested && inHand.size === 0 && !news
    if (historyLength >= tooLong * longHistory || historySize >= tooLong * longBytes) return true
    return atWork === 0 && (continueAsNewSuggested || historyLength >= longHistory)
  }

  for (;;) {
    await condition(() => news || isLong())
    // The new one begins with a look, so no news are lost; attempts that run on are in its first look, and taken up.
    if (isLong()) await continueAsNew<typeof keywardRun>(runId, settings)
    news = false
    const seen = await look(runId)
    if (seen.ended && !news) return
    heed(seen)
  }
}
