import type { Clock } from '../core/index.ts'
import { shorten } from './printable.ts'
import type { Terminal } from './terminal.ts'

/** `clear` makes room for another line; `end` is told once, after the last `show`. */
export type Progress = { show(text: string): void; clear(): void; end(): void }

const silent: Progress = { show() {}, clear() {}, end() {} }

/**
 * On standard error: where that is a terminal, one line that is written over. Elsewhere nothing, or, when `asked`, a line every few
 * seconds and one at the end, for the log of a pipeline.
 */
export function createProgress(
  { errors }: Pick<Terminal, 'errors'>,
  clock: Pick<Clock, 'now'>,
  asked: boolean | undefined,
): Progress {
  if (asked === false) return silent
  if (errors.isTTY) return createOneLine(errors)
  return asked ? createLines(errors, clock) : silent
}

function createOneLine(errors: Terminal['errors']): Progress {
  const eraseLine = '\r\u001b[2K'
  let shown = false
  const clear = (): void => {
    if (shown) errors.write(eraseLine)
    shown = false
  }
  return {
    show(text) {
      shown = true
      errors.write(`${eraseLine}${shorten(text, (errors.columns || 80) - 1)}`)
    },
    clear,
    end: clear,
  }
}

const millisecondsBetween = 5000

function createLines(errors: Terminal['errors'], clock: Pick<Clock, 'now'>): Progress {
  let waiting: string | undefined
  let lastAt = clock.now().getTime()
  const write = (text: string): void => {
    errors.write(`${text}\n`)
    waiting = undefined
    lastAt = clock.now().getTime()
  }
  return {
    show(text) {
      waiting = text
      if (clock.now().getTime() - lastAt >= millisecondsBetween) write(text)
    },
    clear() {},
    end() {
      if (waiting !== undefined) write(waiting)
    },
  }
}
