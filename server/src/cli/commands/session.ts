import { join } from 'node:path'
import { api, type SessionView, type SystemStatus } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError, Secret } from '../../core/index.ts'
import { refuseClearText, serverAddress } from '../address.ts'
import { type Client, createClient } from '../client.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { createCredentials } from '../credentials.ts'
import type { CommandNeeds } from '../needs.ts'
import { dataFolder } from '../places.ts'
import { readPrivateFile } from '../private-file.ts'
import { askHidden } from '../prompt.ts'
import { renderFacts } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type LoginOptions = CommonOptions & {
  readonly local?: boolean
  readonly link?: boolean
  readonly data?: string
}

export function loginCommand(needs: Needs): Command {
  const { terminal, env, version } = needs
  return serverCommand({
    usage: 'login',
    summary: 'Sign in to a server',
    details:
      'Asks for the one-time code (or the whole sign-in link) that the server or an owner gave you, and keeps the\n' +
      'session in ~/.config/keyward/credentials.json, which only you can read. Without a terminal the code is read\n' +
      "from standard input. On the server's own machine, as its user, --local needs no code.",
    examples: ['keyward login', 'keyward login --local', 'keyward login --link', 'keyward login < code.txt'],
  })
    .option('--local', "sign in on the server's own machine, without a code")
    .option('--link', "print a new one-time sign-in link, on the server's own machine")
    .option('--data <folder>', "the server's data folder (default: $KEYWARD_DATA or ~/.local/share/keyward)")
    .action(async (options: LoginOptions, command: Command) => {
      if (options.local && options.link) command.error('error: --local and --link exclude each other')
      const address = serverAddress(env, options.address)
      refuseClearText(env, address)
      const client = createClient({ address, token: undefined, version })
      if (options.link) return await printLink(needs, client, options)
      const { session, token } = options.local
        ? await localSession(client, dataFolder(env, options.data))
        : await exchangedSession(client, await askHidden(terminal, 'One-time sign-in code: '))
      const credentials = createCredentials(env)
      await credentials.keep(address, { token, name: session.name, expiresAt: session.expiresAt })
      if (options.json) terminal.json({ address, session })
      else terminal.note(`Signed in to ${address} as ${session.name} until ${session.expiresAt}.`)
    })
}

type SignedIn = { session: SessionView; token: Secret }

async function exchangedSession(client: Client, typed: Secret): Promise<SignedIn> {
  const text = typed.reveal()
  const code = /#code=([^&\s]+)/.exec(text)?.[1]
  const { session, token } = await client.call(api.session.exchange, {
    code: code === undefined ? text : decodeURIComponent(code),
    kind: 'bearer',
  })
  if (token === null) throw new AppError('server.internal', 'the server gave no token for the command line')
  return { session, token: new Secret(token) }
}

async function localSession(client: Client, dataDir: string): Promise<SignedIn> {
  const { session, token } = await localAnswer(client, dataDir, 'bearer')
  if (!session || token === null) throw new AppError('server.internal', 'the server gave no session')
  return { session, token: new Secret(token) }
}

async function localAnswer(client: Client, dataDir: string, kind: 'bearer' | 'code') {
  const file = join(dataDir, 'local.token')
  const content = await readPrivateFile(file)
  if (content === undefined) {
    const detail = `${file} does not exist. Run this as the server's user on its own machine, with --data as the server has it, while it runs`
    throw new AppError('session.code_invalid', detail)
  }
  return client.call(api.session.local, { token: content.trim(), kind })
}

async function printLink({ terminal, env }: Needs, client: Client, options: LoginOptions): Promise<void> {
  const { code } = await localAnswer(client, dataFolder(env, options.data), 'code')
  if (code === null) throw new AppError('server.internal', 'the server gave no sign-in code')
  const link = `${client.address}/#code=${encodeURIComponent(code)}`
  if (options.json) return terminal.json({ address: client.address, link })
  terminal.write(`${link}\n`)
  terminal.note('It works once and for a few minutes. Whoever opens it is signed in as the owner.')
}

export function logoutCommand({ terminal, env, version }: Needs): Command {
  return serverCommand({
    usage: 'logout',
    summary: 'Sign out',
    details:
      'Ends the session on the server and forgets its token here, also when the server cannot be reached.',
    examples: ['keyward logout', 'keyward logout --address https://keyward.example:8200'],
  }).action(async (options: CommonOptions) => {
    const address = serverAddress(env, options.address)
    const credentials = createCredentials(env)
    const token = await credentials.token(address)
    const forgotten = await credentials.forget(address)
    const ended = token ? await endSession(createClient({ address, token, version })) : false
    if (options.json) return terminal.json({ address, ended, forgotten })
    if (!forgotten) return terminal.note(`There was no session for ${address}.`)
    terminal.note(
      ended
        ? `Signed out of ${address}.`
        : `The token for ${address} is forgotten here; the server did not confirm.`,
    )
  })
}

/** A session that the server no longer knows has ended as well. */
async function endSession(client: Client): Promise<boolean> {
  try {
    return (await client.call(api.session.end, {})).ended
  } catch (error) {
    if (error instanceof AppError && error.code === 'session.required') return true
    if (error instanceof AppError && error.code === 'server.unreachable') return false
    throw error
  }
}

export function statusCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'status',
    summary: 'How the server and its parts are',
    examples: ['keyward status', 'keyward status --json | jq .status.vault.sealed'],
  }).action(async (options: CommonOptions) => {
    const client = await connect(needs, options)
    const status = await client.call(api.system.status, {})
    const session = await client.call(api.session.read, {})
    if (options.json) return terminal.json({ address: client.address, status, session })
    terminal.write(renderFacts(statusFacts(client.address, status, session)))
  })
}

const sandboxState = ({ level, driver }: SystemStatus['sandbox']): string =>
  driver === undefined ? level : `${level} (${driver})`

function statusFacts(address: string, status: SystemStatus, session: SessionView): [string, string][] {
  const { vault, store, audit, sandbox, proxy, counts } = status
  return [
    ['Server', `${address}, Keyward ${status.version}, up since ${status.startedAt}`],
    ['Signed in', `${session.name} (${session.roles.join(', ') || 'no role'}) until ${session.expiresAt}`],
    ['Vault', `${vaultState(vault)}, ${vault.seal} seal`],
    ['Store', `${store.dialect}, ${store.health}`],
    ['Audit', `${audit.health}, ${audit.seq} entries`],
    ['Sandbox', [sandboxState(sandbox), ...sandbox.reasons].join('; ')],
    ['Proxy', proxy.health],
    ['Findings', `${counts.openFindings} open, ${counts.importedFindings} imported`],
    ['Work', `${counts.activeRuns} active runs, ${counts.pendingApprovals} approvals waiting`],
    ...hostFacts(status.hosts),
    ['Agents', `${counts.agents} agents, ${counts.activeLeases} active leases`],
  ]
}

/** Nothing where all runs are the server's own. */
function hostFacts(hosts: SystemStatus['hosts']): [string, string][] {
  if (!hosts || (hosts.temporal === null && hosts.active.temporal === 0)) return []
  const { active, temporal } = hosts
  const where = temporal
    ? `${temporal.address}, ${temporal.namespace}: ${temporal.problem ?? temporal.state}`
    : 'none is set'
  return [['Runs', `${active.embedded} embedded, ${active.temporal} on Temporal (${where})`]]
}

const vaultState = ({ initialised, sealed }: SystemStatus['vault']): string => {
  if (!initialised) return 'not initialised'
  return sealed ? 'sealed' : 'unsealed'
}
