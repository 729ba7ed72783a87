import type { ServerResponse } from 'node:http'
import { runsApi, type TaskView } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import { AppError, reasonOf } from '../core/index.ts'
import type { TaskOutput } from '../flows/index.ts'
import type { Workflow } from '../workflow/index.ts'
import { openEventStream, type StreamNeeds } from './event-stream.ts'
import { type Route, route } from './route.ts'
import { runResource } from './run-resource.ts'

type Sources = { taskOutput: Pick<TaskOutput, 'read' | 'follow'>; workflow: Pick<Workflow, 'read'> }

type Task = { runId: string; taskId: string }

const ended: readonly TaskView['state'][] = ['Succeeded', 'Failed', 'Cancelled', 'Skipped', 'Ambiguous']

/** Throws `run.not_found` when the run, or the task in it, does not exist. */
export async function assertTask(workflow: Sources['workflow'], task: Task): Promise<void> {
  await hasEnded(workflow, task)
}

async function hasEnded(workflow: Sources['workflow'], { runId, taskId }: Task): Promise<boolean> {
  const task = (await workflow.read(runId)).tasks.find(({ id }) => id === taskId)
  if (!task) throw new AppError('run.not_found', `run '${runId}' has no task '${taskId}'`)
  return ended.includes(task.state)
}

export const outputRoute = ({ taskOutput, workflow }: Sources): Route =>
  route(
    runsApi.output,
    async ({ runId, taskId, after }) => {
      // Asked first: what a task printed before it ended is there by then.
      const over = await hasEnded(workflow, { runId, taskId })
      const { chunks, missed } = taskOutput.read(runId, taskId, after)
      return { chunks, missed, ended: over, last: chunks.at(-1)?.seq ?? after }
    },
    ({ runId }) => runResource(workflow, runId),
  )

type Needs = StreamNeeds & Sources & { bus: Pick<Bus, 'subscribe'> }

/**
 * What a task prints, as events named `output`, each with one chunk and its `seq` as the id; `missed` when something before the
 * first is kept no longer; `end` when the task has ended, after which the stream does.
 */
export function streamOutput(
  response: ServerResponse,
  task: Task,
  needs: Needs,
  lastSeq: number | undefined,
): void {
  const { taskOutput, workflow, bus, log } = needs
  const { runId, taskId } = task
  let sent = lastSeq ?? 0
  const stops: (() => void)[] = []
  const stream = openEventStream(response, needs, () => {
    for (const stop of stops) stop()
  })
  const endIfOver = async (): Promise<void> => {
    if (stream.isOver() || !(await hasEnded(workflow, task))) return
    stream.send(sent, {}, 'end')
    stream.end()
  }
  const look = (): void =>
    void endIfOver().catch((error: unknown) => {
      log.warn({ runId, reason: reasonOf(error) }, 'a stream of output could not see whether it is over')
      response.destroy()
    })
  // Nothing is awaited between these two, so that no chunk is lost and none comes twice.
  const kept = taskOutput.read(runId, taskId, sent)
  stops.push(
    taskOutput.follow(runId, taskId, (chunk) => {
      sent = chunk.seq
      stream.send(chunk.seq, chunk, 'output')
    }),
  )
  if (kept.missed) stream.send(sent, {}, 'missed')
  for (const chunk of kept.chunks) {
    sent = chunk.seq
    stream.send(chunk.seq, chunk, 'output')
  }
  stops.push(
    bus.subscribe(({ subject }) => {
      if (subject === `run:${runId}`) look()
    }),
  )
  look()
}
