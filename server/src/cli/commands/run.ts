import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { runChild } from '../child-process.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { readEnvFile, referringVariables, resolvedVariables } from '../env-references.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Environment } from '../places.ts'
import { resolveReferences } from '../resolve-references.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd' | 'answer'>
type RunOptions = CommonOptions & { readonly dotenv?: string }

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
        "The exit code is the command's; 128 + number after a signal, 126 and 127 when it cannot be started, 2 when a\n" +
        'reference cannot be resolved: the command is not started then.',
      examples: ['keyward run -- npm start', 'keyward run --dotenv deploy.env -- ./deploy.sh production'],
    })
      // Not --env-file: Node takes that for itself wherever it stands in the arguments.
      .option(
        '--dotenv <file>',
        'variables to add, from a .env, or JSON or YAML by its ending (default: .env of this folder, when it holds references)',
      )
      .passThroughOptions()
      .action(async (command: string, args: string[], options: RunOptions) => {
        const variables = { ...(await fileVariables(cwd, options.dotenv)), ...env }
        const referring = referringVariables(variables)
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
        const code = await runChild(command, args, { env: childEnv, cwd, terminal: terminal.interactive })
        if (code === 127) terminal.note(`keyward: ${command} was not found.`)
        if (code === 126) terminal.note(`keyward: ${command} may not be executed.`)
        answer(code)
      })
  )
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
