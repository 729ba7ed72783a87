import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { agentIdOf } from '../agent-id.ts'
import { type Brokered, runBrokered } from '../brokered.ts'
import { runChild } from '../child-process.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { addPlace, addReachable, injectionFrom } from '../destinations.ts'
import { type Referring, readEnvFile, referringVariables, resolvedVariables } from '../env-references.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Environment } from '../places.ts'
import { resolveReferences } from '../resolve-references.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd' | 'answer'>
type RunOptions = CommonOptions &
  Omit<Brokered, 'agentId'> & {
    readonly dotenv?: string
    readonly brokered?: boolean
    readonly agent?: string
    readonly as?: Brokered['injection']
  }

export function runCommand(needs: Needs): Command {
  const { terminal, env, cwd, answer } = needs
  return (
    serverCommand({
      usage: 'run <command> [arguments...]',
      summary: 'Run a command with the values behind its references',
      details:
        'Each keyward://<mount>/<path>#<field> in the environment, in --dotenv, or in a .env of this folder is replaced by\n' +
        "its value in the command's own environment, and nowhere else: never in an argument, a file or our output. Each value\n" +
        'is audited before it leaves the server. What the environment sets wins over the file. KEYWARD_TOKEN is not passed on.\n' +
        'With --brokered the command gets placeholders instead, which the egress proxy exchanges on the way to where the secrets\n' +
        'may go. The command can go around the proxy, and then has placeholders only; but it runs as you, and can read what you can.\n' +
        "The exit code is the command's; 128 + number after a signal, 126 and 127 when it cannot be started, 2 when a\n" +
        'reference cannot be resolved: the command is not started then.',
      examples: [
        'keyward run -- npm start',
        'keyward run --dotenv deploy.env -- ./deploy.sh production',
        'keyward run --brokered --to api.stripe.com --as bearer -- npm start',
      ],
    })
      // Not --env-file: Node takes that for itself wherever it stands in the arguments.
      .option(
        '--dotenv <file>',
        'variables to add, from a .env, or JSON or YAML by its ending (default: .env of this folder, when it holds references)',
      )
      .option('--brokered', 'placeholders instead of values, and the egress proxy as the way out')
      .option(
        '--agent <agent>',
        'with --brokered: whose grants, by name or id (default: an agent of your own)',
      )
      .option(
        '--to <place>',
        'with --brokered: [METHOD,…] host[:port][/path] where the secrets may go; can be repeated',
        addPlace,
      )
      .option('--as <injection>', 'with --to: the one place of a request where they may stand', injectionFrom)
      .option(
        '--reach <place>',
        'with --brokered: where else the command may go; can be repeated',
        addReachable,
      )
      .passThroughOptions()
      .action(async (command: string, args: string[], options: RunOptions) => {
        const variables = { ...(await fileVariables(cwd, options.dotenv)), ...env }
        const referring = referringVariables(variables)
        refuseWithoutBrokered(options)
        const code = options.brokered
          ? await brokered(needs, options, { command, args, variables, referring })
          : await withValues(needs, options, { command, args, variables, referring })
        if (code === 127) terminal.note(`keyward: ${command} was not found.`)
        if (code === 126) terminal.note(`keyward: ${command} may not be executed.`)
        answer(code)
      })
  )
}

type Started = {
  readonly command: string
  readonly args: readonly string[]
  readonly variables: Environment
  readonly referring: readonly Referring[]
}

async function withValues(needs: Needs, options: RunOptions, started: Started): Promise<number> {
  const { command, args, variables, referring } = started
  const resolved =
    referring.length === 0
      ? {}
      : resolvedVariables(
          referring,
          await resolveReferences(
            await connect(needs, options),
            referring.flatMap(({ references }) => references),
            // Only the program's name: its arguments may hold what no audit entry should.
            `keyward run ${basename(command)}`.slice(0, 500),
          ),
        )
  const { KEYWARD_TOKEN: _, ...childEnv } = { ...variables, ...resolved }
  const { cwd, terminal } = needs
  return runChild(command, args, { env: childEnv, cwd, terminal: terminal.interactive })
}

async function brokered(needs: Needs, options: RunOptions, started: Started): Promise<number> {
  const client = await connect(needs, options)
  const { agent, to, as, reach } = options
  const agentId = agent === undefined ? undefined : await agentIdOf(client, agent)
  const { cwd, terminal } = needs
  return runBrokered({ ...started, client, cwd, terminal, wanted: { agentId, to, injection: as, reach } })
}

/** Without it they would be left out in silence, and the command would get the values. */
function refuseWithoutBrokered({ brokered: wanted, agent, to, as, reach }: RunOptions): void {
  const given = Object.entries({ agent, to, as, reach }).find(([, value]) => value !== undefined)
  if (given && !wanted) throw new AppError('request.invalid', `--${given[0]} is for --brokered`)
  if (as !== undefined && to === undefined) throw new AppError('request.invalid', '--as is for --to')
}

/** A file that was named must exist. The folder's own .env counts only when it refers to something. */
async function fileVariables(cwd: string, named: string | undefined): Promise<Environment> {
  const path = resolve(cwd, named ?? '.env')
  const variables = await readEnvFile(path)
  if (named !== undefined) {
    if (!variables) throw new AppError('request.invalid', `${path} does not exist. Correct --dotenv`)
    return variables
  }
  const refers = Object.values(variables ?? {}).some((value) => value.includes('keyward://'))
  return variables && refers ? variables : {}
}
