import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type LeafSpec, localCommand } from '../command.ts'
import { exitOk } from '../exit-code.ts'
import { type ServerOptions, sealNames } from '../main-port.ts'
import type { CommandNeeds } from '../needs.ts'
import { dataFolder } from '../places.ts'

type Needs = Pick<CommandNeeds, 'env' | 'cwd' | 'loadMain' | 'answer'>

type Common = { readonly listen: string; readonly data?: string; readonly json?: boolean }
type StartFlags = Common & { readonly project?: string; readonly yes?: boolean }
type ServerFlags = Common &
  Pick<ServerOptions, 'seal' | 'logLevel' | 'tlsCert' | 'tlsKey' | 'devRootTokenId'> & {
    readonly dev?: boolean
  }

export function startCommand({ env, cwd, loadMain, answer }: Needs): Command {
  return withPlace({
    usage: 'start',
    summary: 'Start the server and the guided first run',
    details:
      'Works on the example project, or on --project. Everything is embedded; nothing else has to run.',
    examples: ['keyward start', 'keyward start --project ~/shop', 'keyward start --project . --yes --json'],
  })
    .option('--project <path>', 'the folder to work on (default: the example project)')
    .option('--yes', 'ask nobody; recorded as unattended')
    .action(async ({ listen, data, project, yes = false, json = false }: StartFlags) => {
      const { runStart } = await loadMain()
      const dataDir = resolve(cwd, dataFolder(env, data))
      const chosen = project === undefined ? {} : { project: resolve(cwd, project) }
      answer(codeOf(await runStart({ listen, dataDir, yes, json, ...chosen })))
    })
}

export function serverStartCommand({ env, cwd, loadMain, answer }: Needs): Command {
  return withPlace({
    usage: 'server',
    summary: 'Start the server',
    details:
      'The console is at /, the API at /api/v1, the HashiCorp Vault dialect at /v1.\n' +
      'KEYWARD_DATABASE_URL names a PostgreSQL to use instead of the embedded database; it is read from the\n' +
      'environment only, because an argument can be seen by everybody on the machine.\n' +
      'How the seals transit and awskms are set up is told in docs/how-to/auto-unseal.md.',
    examples: [
      'keyward server',
      'keyward server --listen 127.0.0.1:8200 --data /var/lib/keyward --seal shamir',
      'keyward server --dev --dev-root-token-id root --data /tmp/keyward-dev',
    ],
  })
    .option('--dev', 'initialised and unsealed, with a root token; for development')
    .option('--dev-root-token-id <token>', 'the root token of --dev; anybody on the machine can see it')
    .addOption(
      new Option(
        '--seal <kind>',
        'what seals the vault ($KEYWARD_SEAL); another than now begins a migration',
      ).choices([...sealNames]),
    )
    .option('--tls-cert <file>', 'certificate chain, PEM')
    .option('--tls-key <file>', 'private key of the certificate, PEM')
    .addOption(
      new Option('--log-level <level>', 'what is logged').choices(['info', 'warn', 'error']).default('info'),
    )
    .action(async (flags: ServerFlags, command: Command) => {
      checkServerFlags(flags, command, env)
      const { runServer } = await loadMain()
      answer(codeOf(await runServer(serverOptions(flags, { env, cwd }))))
    })
}

const withPlace = (spec: LeafSpec): Command =>
  localCommand(spec)
    .option('--listen <host:port>', 'where to listen', listenAddress, '127.0.0.1:8200')
    .option('--data <folder>', 'data folder (default: $KEYWARD_DATA or ~/.local/share/keyward)')

function checkServerFlags(
  { dev, devRootTokenId, seal, tlsCert, tlsKey }: ServerFlags,
  command: Command,
  env: Needs['env'],
): void {
  if (seal === undefined && env['KEYWARD_SEAL'] && sealFrom(env) === undefined)
    command.error(`error: KEYWARD_SEAL is none of ${sealNames.join(', ')}`)

  if (devRootTokenId !== undefined && !dev) command.error('error: --dev-root-token-id needs --dev')
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    command.error('error: --tls-cert and --tls-key go together')
  }
}

function serverOptions(flags: ServerFlags, { env, cwd }: Pick<Needs, 'env' | 'cwd'>): ServerOptions {
  const { listen, data, dev = false, devRootTokenId, tlsCert, tlsKey, logLevel } = flags
  const seal = flags.seal ?? sealFrom(env)
  const databaseUrl = env['KEYWARD_DATABASE_URL']
  return {
    listen,
    dataDir: resolve(cwd, dataFolder(env, data)),
    dev,
    ...(seal !== undefined && { seal }),
    logLevel,
    ...(devRootTokenId !== undefined && { devRootTokenId }),
    ...(databaseUrl && { databaseUrl }),
    ...(tlsCert !== undefined && { tlsCert: resolve(cwd, tlsCert) }),
    ...(tlsKey !== undefined && { tlsKey: resolve(cwd, tlsKey) }),
  }
}

function listenAddress(text: string): string {
  const port = Number(/^(?:[^:\s]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text)?.[1] ?? 'none')
  if (!(port <= 65_535)) throw new InvalidArgumentError('Write host:port, for example 127.0.0.1:8200.')
  return text
}

const sealFrom = (env: Needs['env']): ServerOptions['seal'] =>
  sealNames.find((name) => name === env['KEYWARD_SEAL'])

const codeOf = (result: unknown): number => (typeof result === 'number' ? result : exitOk)
