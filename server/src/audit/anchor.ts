import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { AppError, reasonOf } from '../core/index.ts'
import type { Tip } from './audit-store.ts'

/** The last known tip of the chain, kept outside the database, so that rows cut off its end are missed. */
export type Anchor = { read(): Tip | undefined; write(tip: Tip): void }

export function createFileAnchor(file: string): Anchor {
  return {
    read() {
      let text: string
      try {
        text = readFileSync(file, 'utf8')
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
        throw new AppError('audit.unavailable', `${file} cannot be read: ${reasonOf(error)}`)
      }
      const match = /^(\d{1,16}) ([0-9a-f]{64})\n$/.exec(text)
      if (!match)
        throw new AppError(
          'audit.broken',
          `${file} is not an anchor of the audit log. Keep it for inspection.`,
        )
      return { seq: Number(match[1]), hash: match[2] ?? '' }
    },
    write(tip) {
      const next = `${file}.next`
      const fd = openSync(next, 'w', 0o600)
      try {
        writeSync(fd, `${tip.seq} ${tip.hash}\n`)
        fsyncSync(fd)
      } finally {
        // Also when the disk is full: this is tried again every few seconds.
        closeSync(fd)
      }
      renameSync(next, file)
    },
  }
}
