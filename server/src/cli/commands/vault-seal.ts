import type { Command } from 'commander'
import { AppError, reasonOf, Secret } from '../../core/index.ts'
import { refuseClearText, serverAddress } from '../address.ts'
import { type CommonOptions, serverCommand, wholeNumber } from '../command.ts'
import { createCredentials } from '../credentials.ts'
import { exitNegative } from '../exit-code.ts'
import type { CommandNeeds } from '../needs.ts'
import { askHidden } from '../prompt.ts'
import { renderFacts } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
type Fields = Readonly<Record<string, unknown>>
type Ask = (method: 'GET' | 'PUT', path: string, body?: unknown) => Promise<Fields>

const timeoutMilliseconds = 60_000
const mostShares = 255

/** What the owners of the vault do, who have shares and no tokens. */
export const sealCommands = (needs: Needs): readonly Command[] => [
  statusCommand(needs),
  initCommand(needs),
  unsealCommand(needs),
  sealCommand(needs),
]

function statusCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'status',
    summary: 'Whether the vault is made and open, and what opens it',
    details: 'Exit code 1 when it is not open.',
    examples: ['keyward vault status', 'keyward vault status --json'],
  }).action(async (options: CommonOptions) => {
    const status = await asking(needs, options)('GET', 'seal-status')
    show(needs, options, status)
    if (status['sealed'] !== false) needs.answer(exitNegative)
  })
}

type InitOptions = CommonOptions & { readonly shares?: number; readonly threshold?: number }

function initCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'init',
    summary: 'Make the vault of a server that has none yet',
    details:
      'Prints the key shares, or the recovery keys of a vault that opens itself, and the root token: once, nobody can show\n' +
      'them again. Give each to another person.',
    examples: ['keyward vault init --shares 5 --threshold 3', 'keyward vault init --json > once.json'],
  })
    .option('--shares <n>', 'how many people get one', wholeNumber(0, mostShares))
    .option('--threshold <n>', 'how many of them are needed together', wholeNumber(0, mostShares))
    .action(async ({ shares, threshold, ...options }: InitOptions) => {
      const ask = asking(needs, options)
      const recovers = (await ask('GET', 'seal-status'))['recovery_seal'] === true
      const count = shares ?? (recovers ? 0 : 5)
      const needed = threshold ?? (recovers && count === 0 ? 0 : Math.min(3, count))
      const made = await ask(
        'PUT',
        'init',
        recovers
          ? { recovery_shares: count, recovery_threshold: needed }
          : { secret_shares: count, secret_threshold: needed },
      )
      if (options.json) {
        terminal.json(made)
        return
      }
      const keys = listOf(recovers ? made['recovery_keys'] : made['keys'])
      const name = recovers ? 'Recovery key' : 'Key share'
      terminal.write(
        renderFacts([
          ...keys.map((key, i): [string, string] => [`${name} ${i + 1}`, key]),
          ['Root token', String(made['root_token'])],
        ]),
      )
      terminal.note('Keep each apart from the others. Nobody can show them again.')
    })
}

type UnsealOptions = CommonOptions & { readonly migrate?: boolean; readonly reset?: boolean }

function unsealCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'unseal',
    summary: 'Give a key share',
    details:
      'Asks for the share and does not show it; without a terminal it is read from standard input. Never an argument, because\n' +
      'everybody on the machine can see those. Exit code 1 while more are needed.',
    examples: [
      'keyward vault unseal',
      'keyward vault unseal --migrate < share.txt',
      'keyward vault unseal --reset',
    ],
  })
    .option('--migrate', 'agree to the other seal that the server was started with')
    .option('--reset', 'forget the shares that were given so far')
    .action(async ({ migrate = false, reset = false, ...options }: UnsealOptions, command: Command) => {
      if (migrate && reset) command.error('error: --migrate and --reset exclude each other')
      const ask = asking(needs, options)
      const key = reset ? undefined : (await askHidden(terminal, 'Key share: ')).reveal()
      const status = await ask('PUT', 'unseal', reset ? { reset } : { key, migrate })
      show(needs, options, status)
      if (status['sealed'] !== false && !reset) needs.answer(exitNegative)
    })
}

function sealCommand(needs: Needs): Command {
  const { terminal, env } = needs
  return serverCommand({
    usage: 'seal',
    summary: 'Take the keys of the vault out of memory',
    details: 'Needs a token of the vault that may: from KEYWARD_TOKEN, or the session of keyward login.',
    examples: ['keyward vault seal'],
  }).action(async (options: CommonOptions) => {
    const address = serverAddress(env, options.address)
    const named = env['KEYWARD_TOKEN']
    const token = named ? new Secret(named) : await createCredentials(env).token(address)
    await asking(needs, options, token)('PUT', 'seal')
    if (options.json) terminal.json({ sealed: true })
    else terminal.note('The vault is sealed.')
  })
}

function show({ terminal }: Needs, { json }: CommonOptions, status: Fields): void {
  if (json) {
    terminal.json(status)
    return
  }
  const { initialized, sealed, progress, t, n, migration } = status
  const word = initialized ? (sealed ? 'sealed' : 'open') : 'not made yet: keyward vault init'
  terminal.write(
    renderFacts([
      ['Vault', word],
      ['Opened by', String(status['type'])],
      [status['recovery_seal'] ? 'Recovery keys' : 'Shares', `${String(t)} of ${String(n)}`],
      ...(sealed ? ([['Given so far', String(progress)]] as const) : []),
      ...(migration ? ([['Migration', 'waits for keys: keyward vault unseal --migrate']] as const) : []),
    ]),
  )
}

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])

function asking({ env, version }: Needs, options: CommonOptions, token?: Secret): Ask {
  const address = serverAddress(env, options.address)
  return async (method, path, body) => {
    if (method !== 'GET') refuseClearText(env, address)
    const headers = {
      'user-agent': `keyward-cli/${version}`,
      'x-vault-request': 'true',
      ...(token ? { 'x-vault-token': token.reveal() } : {}),
    }
    const answer = await fetch(new URL(`/v1/sys/${path}`, address), {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMilliseconds),
    }).catch((error: unknown) => {
      const cause = error instanceof Error && error.cause ? error.cause : error
      throw new AppError('server.unreachable', `${address} (${reasonOf(cause)})`)
    })
    const fields = fieldsOf(await answer.text(), address)
    if (answer.ok) return fields
    const words = listOf(fields['errors']).join('; ') || `it answered ${answer.status}`
    throw new AppError(answer.status === 403 ? 'policy.denied' : 'request.invalid', words)
  }
}

function fieldsOf(text: string, address: string): Fields {
  try {
    const value: unknown = JSON.parse(text || '{}')
    if (typeof value === 'object' && value !== null) return value as Fields
  } catch {
    // The parser's own words would quote what may be a share.
  }
  throw new AppError('server.unreachable', `${address} answered something else than JSON, so it is no vault`)
}
