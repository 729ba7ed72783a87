import { styleText } from 'node:util'
import { confirm, isCancel } from '@clack/prompts'

type Tint = 'red' | 'green' | 'yellow'

/** Where the guide speaks: a terminal with a moving line and questions, or plain lines. */
export type Screen = {
  /** Columns to fit into; undefined where lines may be of any length. */
  readonly columns: number | undefined
  say(text: string): void
  tint(tint: Tint, text: string): string
  /** A line that changes while something goes on; `done` ends it with its last words. */
  progress(text: string): { update(text: string): void; done(text: string): void }
  ask(question: string): Promise<boolean>
}

const frames = ['◒', '◐', '◓', '◑']
const frameMilliseconds = 100
const clearLine = '\r\u001b[K'

export function terminalScreen(): Screen {
  const { stdout } = process
  const tint = (color: Tint, text: string): string => styleText(color, text, { stream: stdout })
  return {
    columns: stdout.columns,
    say: (text) => void stdout.write(`${text}\n`),
    tint,
    progress(text) {
      let shown = text
      let turn = 0
      const draw = (): void => {
        const room = Math.max(10, stdout.columns - 4)
        stdout.write(
          `${clearLine}${tint('yellow', frames[turn++ % frames.length] ?? '')} ${shown.slice(0, room)}`,
        )
      }
      draw()
      const timer = setInterval(draw, frameMilliseconds)
      return {
        update(next) {
          shown = next
        },
        done(last) {
          clearInterval(timer)
          stdout.write(`${clearLine}${tint('green', '◇')} ${last}\n`)
        },
      }
    },
    async ask(question) {
      const answer = await confirm({ message: question })
      if (!isCancel(answer)) return answer
      // While it asks, the terminal hands Ctrl-C over as a key: it means here what it means elsewhere.
      process.kill(process.pid, 'SIGINT')
      return false
    },
  }
}

/** For `--yes`: every question is answered yes; `quiet` for `--json`, whose only output is the report. */
export function plainScreen(write: (line: string) => void, quiet: boolean): Screen {
  const say = (text: string): void => {
    if (!quiet) write(`${text}\n`)
  }
  return {
    columns: undefined,
    say,
    tint: (_, text) => text,
    progress(text) {
      say(text)
      return { update: () => undefined, done: say }
    },
    ask: async () => true,
  }
}
