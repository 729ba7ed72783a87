import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { AppError, Secret } from '../core/index.ts'
import type { Input, Terminal } from './terminal.ts'

type Needs = Pick<Terminal, 'interactive' | 'input' | 'errors'>

/** A yes from the person at the terminal. Without one, `--yes` has to say it. */
export async function confirm(terminal: Needs, question: string): Promise<boolean> {
  if (!terminal.interactive) {
    throw new AppError(
      'request.invalid',
      'nobody is at a terminal to confirm this. Say --yes to do it all the same',
    )
  }
  const answer = await ask(terminal.input, terminal.errors, `${question} [y/N] `)
  return /^y(es)?$/i.test(answer.trim())
}

/** A value typed without being shown, or the first line of standard input where there is no terminal. */
export async function askHidden(terminal: Needs, question: string): Promise<Secret> {
  if (!terminal.interactive) {
    const [line = ''] = (await readText(terminal.input)).split(/\r?\n/, 1)
    return new Secret(line.trim())
  }
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  // Asked only when the terminal has stopped showing what is typed: a pasted code may be there at once.
  const answer = ask(terminal.input, silent, '')
  terminal.errors.write(question)
  try {
    return new Secret((await answer).trim())
  } finally {
    terminal.errors.write('\n')
  }
}

function ask(input: Input, output: NodeJS.WritableStream, question: string): Promise<string> {
  const lines = createInterface({ input, output, terminal: true })
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => lines.close())
    lines.once('close', () =>
      reject(new AppError('request.invalid', 'there was no answer. Nothing was done')),
    )
    lines.question(question, (answer) => {
      resolve(answer)
      lines.close()
    })
  })
}
