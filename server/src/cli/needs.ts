import type { LoadMain } from './main-port.ts'
import type { Environment } from './places.ts'
import type { Terminal } from './terminal.ts'

/** What a command may ask for; each takes its part of it. */
export type CommandNeeds = {
  readonly terminal: Terminal
  readonly env: Environment
  /** The current folder. */
  readonly cwd: string
  readonly version: string
  readonly loadMain: LoadMain
  /** Ends the command with another exit code than 0, for an answer that is no. */
  answer(code: number): void
}
