import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { AppError } from '../core/index.ts'
import type { Environment } from './places.ts'

const notExecutable = 126
const notFound = 127
const signalBase = 128

const forwarded: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']

/** A terminal sends these to the whole foreground group, so that the child has them already. */
const sentByTerminal: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT']

/**
 * Runs a program with our input and output, hands signals on, and resolves with the exit code that a shell would give:
 * its own, 128 + number after a signal, 126 and 127 when it cannot be started.
 */
export function runChild(
  command: string,
  args: readonly string[],
  { env, cwd, terminal }: { env: Environment; cwd: string; terminal: boolean },
): Promise<number> {
  return new Promise((resolve, reject) => {
    // Heard before the child exists: it may run, and be known to others, before spawn returns here.
    const handlers = forwarded.map((signal) => {
      const forward = (): void => {
        if (!(terminal && sentByTerminal.includes(signal))) child.kill(signal)
      }
      process.on(signal, forward)
      return () => process.off(signal, forward)
    })
    const child = spawn(command, args, { env, cwd, stdio: 'inherit' })
    const settle = (): void => {
      for (const remove of handlers) remove()
    }
    child.once('error', (error: NodeJS.ErrnoException) => {
      settle()
      if (error.code === 'ENOENT') resolve(notFound)
      else if (error.code === 'EACCES') resolve(notExecutable)
      else reject(startFailure(command, error))
    })
    child.once('exit', (code, signal) => {
      settle()
      resolve(signal ? signalBase + constants.signals[signal] : (code ?? signalBase))
    })
  })
}

/** Node's own error carries the arguments and could carry more; only its code is told. */
const startFailure = (command: string, { code }: NodeJS.ErrnoException): AppError =>
  new AppError(
    'request.invalid',
    `${command} cannot be started (${code}). E2BIG: its environment is too large`,
  )
