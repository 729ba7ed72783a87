import { setTimeout as pause } from 'node:timers/promises'
import { api } from '@keyward/contract'
import type { Client } from './client.ts'
import { printableJson, printableLines } from './printable.ts'
import type { Terminal } from './terminal.ts'

const firstPauseMilliseconds = 100
const longestPauseMilliseconds = 1000

type Wanted = { runId: string; taskId: string; follow: boolean; json: boolean }

/** Writes what a task has printed, and with `follow` what it still prints. As JSON: one chunk a line. */
export async function followOutput(
  terminal: Pick<Terminal, 'write' | 'note' | 'errors'>,
  client: Client,
  { runId, taskId, follow, json }: Wanted,
): Promise<void> {
  let after = 0
  let wait = firstPauseMilliseconds
  for (;;) {
    const { chunks, last, missed, ended } = await client.call(api.runs.output, { runId, taskId, after })
    if (missed) terminal.note('[what was printed before is kept no longer]')
    for (const chunk of chunks) {
      if (json) terminal.write(`${printableJson(chunk)}\n`)
      else if (chunk.stream === 'stdout') terminal.write(shown(chunk.text))
      else terminal.errors.write(shown(chunk.text))
    }
    after = last
    if (ended || !follow) return
    wait = chunks.length > 0 ? firstPauseMilliseconds : Math.min(wait * 1.5, longestPauseMilliseconds)
    await pause(wait)
  }
}

/** A tab is what programs align with, and does no harm. */
export const shown = (text: string): string => text.split('\t').map(printableLines).join('\t')
