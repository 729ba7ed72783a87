// A command on a pseudo-terminal, as a person has it: script(1) of util-linux gives one.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { stripVTControlCharacters } from 'node:util'

export type TerminalSession = {
  /** All that was shown so far, without colours and movements of the cursor. */
  shown(): string
  /** Resolves with the first match from here on: what a person waits for before the next key. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>
  type(keys: string): void
  /** The exit code of the command. */
  ended: Promise<number>
}

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

export function openTerminal(
  t: TestContext,
  command: readonly string[],
  options: { cwd: string; env: Record<string, string> },
): TerminalSession {
  const line = `stty cols 120 rows 40 && exec ${command.map(quote).join(' ')}`
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], {
    ...options,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  let heard = (): void => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    heard()
  })
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close').then(([code]) => Number(code ?? -1))
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  })
  const plain = (): string => stripVTControlCharacters(shown).replaceAll('\r\n', '\n')
  return {
    shown: plain,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(plain())
          if (found) resolve(found)
        }
        heard = look
        look()
        void ended.then((code) => reject(new Error(`ended with ${code} before ${pattern}:\n${plain()}`)))
      }),
    type: (keys) => void child.stdin.write(keys),
    ended,
  }
}
