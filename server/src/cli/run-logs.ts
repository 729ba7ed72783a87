import { setTimeout as pause } from 'node:timers/promises'
import { api, type OutputChunk, type TaskView } from '@keyward/contract'
import type { Client } from './client.ts'
import { shown } from './follow-output.ts'
import { isFinished } from './follow-run.ts'
import { printable, printableJson } from './printable.ts'
import type { Terminal } from './terminal.ts'

const firstPauseMilliseconds = 100
const longestPauseMilliseconds = 1000

type Wanted = { runId: string; follow: boolean; json: boolean }
type Said = OutputChunk & { readonly taskId: string }
type Needs = { terminal: Pick<Terminal, 'write' | 'note' | 'errors'>; client: Client }

/**
 * Writes what all tasks of a run have printed, in the order of time, each line behind its task's id; with `follow` until the run has
 * ended. As JSON: one chunk a line, with `taskId`.
 */
export async function writeRunLogs(needs: Needs, { runId, follow, json }: Wanted): Promise<void> {
  const { terminal, client } = needs
  const read = reading(needs, runId)
  const lines = json ? undefined : linesOf(terminal)
  let wait = firstPauseMilliseconds
  let said = 0
  for (;;) {
    const run = await client.call(api.runs.read, { runId })
    const chunks = await read(run.tasks)
    for (const chunk of chunks) {
      if (lines) lines.add(chunk)
      else terminal.write(`${printableJson(chunk)}\n`)
    }
    said += chunks.length
    if (isFinished(run) || !follow) break
    wait = chunks.length > 0 ? firstPauseMilliseconds : Math.min(wait * 1.5, longestPauseMilliseconds)
    await pause(wait)
  }
  lines?.end()
  if (said === 0) terminal.note(`[no task of ${runId} has printed anything that is still kept]`)
}

/** What came since it was asked last, of the tasks that have begun; one that has ended is not asked again before its next attempt. */
function reading({ terminal, client }: Needs, runId: string) {
  const last = new Map<string, number>()
  const over = new Set<string>()
  return async (tasks: readonly TaskView[]): Promise<Said[]> => {
    const found: Said[] = []
    for (const { id: taskId, attempt } of tasks) {
      if (attempt === 0 || over.has(`${taskId} ${attempt}`)) continue
      const after = last.get(taskId) ?? 0
      const output = await client.call(api.runs.output, { runId, taskId, after })
      if (output.missed) terminal.note(printable(`[what ${taskId} printed before is kept no longer]`))
      found.push(...output.chunks.map((chunk) => ({ taskId, ...chunk })))
      last.set(taskId, output.last)
      if (output.ended) over.add(`${taskId} ${attempt}`)
    }
    // The sort is stable: the chunks of one task stay in their order.
    return found.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  }
}

/** Whole lines, so that those of tasks that print at the same time do not run into each other. */
function linesOf({ write, errors }: Pick<Terminal, 'write' | 'errors'>) {
  const begun = new Map<string, { said: Said; text: string }>()
  const put = ({ taskId, stream }: Said, text: string): void => {
    const line = `${printable(taskId)} | ${shown(text)}\n`
    if (stream === 'stdout') write(line)
    else errors.write(line)
  }
  return {
    add(said: Said): void {
      const key = `${said.taskId} ${said.stream}`
      const [rest = '', ...whole] = `${begun.get(key)?.text ?? ''}${said.text}`.split('\n').toReversed()
      for (const line of whole.toReversed()) put(said, line)
      begun.set(key, { said, text: rest })
    },
    end(): void {
      for (const { said, text } of begun.values()) if (text !== '') put(said, text)
    },
  }
}
