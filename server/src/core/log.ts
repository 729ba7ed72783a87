import { createRequire } from 'node:module'
import type * as Pino from 'pino'

export type Log = {
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
  error(fields: Record<string, unknown>, message: string): void
}

/**
 * JSON lines on standard error, so that standard output stays for results: `timestamp`, `level`, `message`, and what the line is
 * about; a run and its task as `workflow_id` and `task_id`. What never logs, such as a thread or most commands, loads nothing.
 */
export function createLog(level: 'info' | 'warn' | 'error' | 'silent'): Log {
  const { pino }: typeof Pino = createRequire(import.meta.url)('pino')
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }), log: named },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}

/** By their names in the log, which are not those in the code. */
function named({ runId, taskId, ...fields }: Record<string, unknown>): Record<string, unknown> {
  return {
    ...(runId === undefined ? {} : { workflow_id: runId }),
    ...(taskId === undefined ? {} : { task_id: taskId }),
    ...fields,
  }
}

export const silentLog: Log = { info() {}, warn() {}, error() {} }
