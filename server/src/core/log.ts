import { pino } from 'pino'

export type Log = {
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
  error(fields: Record<string, unknown>, message: string): void
}

/** JSON lines on standard error, so that standard output stays for results. */
export function createLog(level: 'info' | 'warn' | 'error' | 'silent'): Log {
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
