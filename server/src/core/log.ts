import { createRequire } from 'node:module'
import type * as Pino from 'pino'

export type Log = {
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
  error(fields: Record<string, unknown>, message: string): void
}

/** JSON lines on standard error, so that standard output stays for results. What never logs, such as a thread or most commands, loads nothing. */
export function createLog(level: 'info' | 'warn' | 'error' | 'silent'): Log {
  const { pino }: typeof Pino = createRequire(import.meta.url)('pino')
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      messageKey: 'message',
    },
    pino.destination({ dest: 2, sync: true }),
  )
}

export const silentLog: Log = { info() {}, warn() {}, error() {} }
