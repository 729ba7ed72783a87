import { Command, CommanderError } from 'commander'
import { exitError, exitOk } from './exit-code.ts'
import { groups, helpHeading } from './groups.ts'
import type { LoadMain } from './main-port.ts'
import type { CommandNeeds } from './needs.ts'
import type { Environment } from './places.ts'
import { printable, printableJson } from './printable.ts'
import { createTerminal, type Output, type Streams } from './terminal.ts'

type Needs = {
  readonly streams: Streams
  readonly env: Environment
  readonly cwd: string
  readonly version: string
  readonly loadMain: LoadMain
}

export type Cli = {
  /** Does what the arguments say and returns the exit code. Throws nothing. */
  run(args: readonly string[]): Promise<number>
}

const manual = `
Exit codes: 0 done, 1 the answer is no (secrets found, not verified, failed), 2 wrong use or error.
Signed in by "keyward login", or by KEYWARD_TOKEN or VAULT_TOKEN; a token is never an argument.
"keyward <command> --help" shows options and examples.`

export function createCli({ streams, env, cwd, version, loadMain }: Needs): Cli {
  const terminal = createTerminal(streams)

  async function run(args: readonly string[]): Promise<number> {
    let code = exitOk
    const needs: CommandNeeds = {
      terminal,
      env,
      cwd,
      version,
      loadMain,
      answer: (given) => {
        code = given
      },
    }
    const wantsJson = jsonWanted(args)
    try {
      const program = await programFor(args, needs)
      prepare(program, streams)
      await program.parseAsync([...args], { from: 'user' })
      return code
    } catch (error) {
      if (error instanceof CommanderError) return endOf(error, wantsJson, streams.stderr)
      return await failed(error, wantsJson, needs)
    }
  }

  return { run }
}

/** `--json` counts only before `--`: what follows belongs to another program. */
function jsonWanted(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes('--json')
}

/** All commands by name and summary; only the one that was typed with its code. */
async function programFor(args: readonly string[], needs: CommandNeeds): Promise<Command> {
  const program = new Command('keyward')
    .description('Keyward finds secrets, keeps them in a vault and lends them to agents that never see them.')
    .usage('<command> [options]')
    .version(needs.version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .enablePositionalOptions()
    .addHelpCommand(new Command('help').argument('[command]').summary('Show help').helpGroup(helpHeading))
    .addHelpText('after', manual)
  const wanted = args[0] === 'help' ? args[1] : args[0]
  for (const group of groups) {
    const command = group.name === wanted ? await group.load(needs) : new Command(group.name)
    program.addCommand(command.summary(group.summary).helpGroup(group.heading))
  }
  return program
}

/** Failures come back as values and are written in one form; help and usage errors go through our streams. */
function prepare(command: Command, streams: Streams): void {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => void streams.stdout.write(text),
      writeErr: (text) => void streams.stderr.write(text),
      outputError: () => {},
    })
  for (const child of command.commands) prepare(child, streams)
}

function endOf(error: CommanderError, json: boolean, stderr: Output): number {
  if (error.exitCode === 0) return exitOk
  if (error.code === 'commander.help') return exitError
  const words = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
  const detail = printable(`${words}${/[.)?]$/.test(words) ? '' : '.'} See "keyward --help"`)
  const title = 'The request is not valid'
  const problem = {
    type: 'urn:keyward:error:request.invalid',
    title,
    status: 400,
    code: 'request.invalid',
    detail,
  }
  stderr.write(json ? `${printableJson(problem)}\n` : `keyward: ${detail}.\n`)
  return exitError
}

async function failed(error: unknown, json: boolean, { terminal, env }: CommandNeeds): Promise<number> {
  const { failureLine, problemOf } = await import('./failure.ts')
  terminal.note(json ? printableJson(problemOf(error)) : failureLine(error))
  if (env['KEYWARD_DEBUG'] === '1' && error instanceof Error) terminal.note(error.stack ?? '')
  return exitError
}
