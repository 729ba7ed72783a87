import { StringDecoder } from 'node:string_decoder'
import type { OutputChunk } from '@keyward/contract'
import type { Clock } from '../core/index.ts'

/**
 * What tasks print, while they print it: redacted by whoever writes it here. The end of each is kept in memory, for those who
 * come late or come back; the task's own result outlives a restart, this does not.
 */
export type TaskOutput = {
  /** For one attempt of a task. What earlier attempts printed stays before it. */
  open(runId: string, taskId: string, attempt: number): Writer
  /** What is kept after the chunk `after`, the oldest first, and whether something between was dropped. */
  read(runId: string, taskId: string, after: number): { chunks: OutputChunk[]; missed: boolean }
  /** Hears each chunk of one task from now on. Returns what ends it. */
  follow(runId: string, taskId: string, hear: (chunk: OutputChunk) => void): () => void
}

type Writer = {
  write(stream: 'stdout' | 'stderr', bytes: Buffer): void
  /** Shows what was an unfinished character. */
  close(): void
}

type History = { chunks: OutputChunk[]; seq: number; bytes: number; writers: number }

/** A little above what an agent's task may print, because each chunk is counted with what goes around it. */
const keptBytesOfTask = 512 * 1024
const keptTasks = 64
/** So that one chunk is never longer than a line of a stream should be. */
const longestChunk = 16 * 1024
const aroundChunkBytes = 100

export function createTaskOutput(clock: Pick<Clock, 'now'>): TaskOutput {
  const histories = new Map<string, History>()
  const listeners = new Map<string, Set<(chunk: OutputChunk) => void>>()
  const keyOf = (runId: string, taskId: string): string => JSON.stringify([runId, taskId])

  function historyOf(key: string): History {
    const history = histories.get(key) ?? { chunks: [], seq: 0, bytes: 0, writers: 0 }
    // The one that was opened last stands last, so that the oldest is forgotten first.
    histories.delete(key)
    histories.set(key, history)
    for (const [other, { writers }] of histories) {
      if (histories.size <= keptTasks) break
      if (writers === 0 && other !== key) histories.delete(other)
    }
    return history
  }

  function add(key: string, history: History, made: Omit<OutputChunk, 'seq' | 'at'>): void {
    history.seq += 1
    const chunk = { seq: history.seq, at: clock.now().toISOString(), ...made }
    history.chunks.push(chunk)
    history.bytes += sizeOf(chunk)
    while (history.bytes > keptBytesOfTask) {
      const dropped = history.chunks.shift()
      if (!dropped) break
      history.bytes -= sizeOf(dropped)
    }
    for (const hear of listeners.get(key) ?? []) hear(chunk)
  }

  return {
    open(runId, taskId, attempt) {
      const key = keyOf(runId, taskId)
      const history = historyOf(key)
      history.writers += 1
      const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') }
      const show = (stream: 'stdout' | 'stderr', text: string): void => {
        for (let at = 0; at < text.length; at += longestChunk)
          add(key, history, { attempt, stream, text: text.slice(at, at + longestChunk) })
      }
      return {
        write: (stream, bytes) => show(stream, decoders[stream].write(bytes)),
        close() {
          for (const stream of ['stdout', 'stderr'] as const) show(stream, decoders[stream].end())
          history.writers -= 1
        },
      }
    },
    read(runId, taskId, after) {
      const history = histories.get(keyOf(runId, taskId))
      const first = history?.chunks[0]?.seq ?? (history?.seq ?? 0) + 1
      return {
        chunks: history?.chunks.filter(({ seq }) => seq > after) ?? [],
        missed: first > after + 1,
      }
    },
    follow(runId, taskId, hear) {
      const key = keyOf(runId, taskId)
      const hearing = listeners.get(key) ?? new Set()
      listeners.set(key, hearing.add(hear))
      return () => {
        hearing.delete(hear)
        if (hearing.size === 0 && listeners.get(key) === hearing) listeners.delete(key)
      }
    },
  }
}

const sizeOf = ({ text }: OutputChunk): number => 2 * text.length + aroundChunkBytes
