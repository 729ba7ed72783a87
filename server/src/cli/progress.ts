import { shorten } from './printable.ts'
import type { Terminal } from './terminal.ts'

export type Progress = { show(text: string): void; clear(): void }

/** One line on standard error that is written over; nothing where standard error is not a terminal. */
export function createProgress({ errors }: Pick<Terminal, 'errors'>): Progress {
  if (!errors.isTTY) return { show() {}, clear() {} }
  const eraseLine = '\r\u001b[2K'
  let shown = false
  return {
    show(text) {
      shown = true
      errors.write(`${eraseLine}${shorten(text, (errors.columns || 80) - 1)}`)
    },
    clear() {
      if (shown) errors.write(eraseLine)
      shown = false
    },
  }
}
