import { confirm, isCancel, log, spinner } from '@clack/prompts'

/** Where the guide speaks: a terminal with a spinner and questions, or plain lines. */
export type Screen = {
  say(text: string): void
  /** A line that changes while something goes on; the returned function ends it with its last words. */
  progress(text: string): { update(text: string): void; done(text: string): void }
  ask(question: string): Promise<boolean>
}

export function terminalScreen(): Screen {
  return {
    say: (text) => log.message(text),
    progress(text) {
      const spin = spinner()
      spin.start(text)
      return { update: (next) => spin.message(next), done: (last) => spin.stop(last) }
    },
    async ask(question) {
      const answer = await confirm({ message: question })
      return !isCancel(answer) && answer
    },
  }
}

/** For `--yes`: every question is answered yes; `quiet` for `--json`, whose only output is the report. */
export function plainScreen(write: (line: string) => void, quiet: boolean): Screen {
  const say = (text: string): void => {
    if (!quiet) write(`${text}\n`)
  }
  return {
    say,
    progress(text) {
      say(text)
      return { update: () => undefined, done: say }
    },
    ask: async () => true,
  }
}
