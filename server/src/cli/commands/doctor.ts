import { api, type SystemStatus } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError, reasonOf } from '../../core/index.ts'
import { serverAddress } from '../address.ts'
import {
  type Check,
  checkClock,
  checkDataFolder,
  checkDisk,
  checkIsolation,
  checkNode,
  checkProgram,
} from '../checkup.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import type { CommandNeeds } from '../needs.ts'
import { dataFolder } from '../places.ts'
import { printable } from '../printable.ts'
import type { Tint } from '../terminal.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
type DoctorOptions = CommonOptions & { readonly data?: string }

const tints: Record<Check['state'], Tint> = { ok: 'green', warn: 'yellow', fail: 'red' }
const dateTimeoutMilliseconds = 3000

export function doctorCommand(needs: Needs): Command {
  const { terminal, env, answer } = needs
  return serverCommand({
    usage: 'doctor',
    summary: 'Check this machine and say what to mend',
    details: 'Changes nothing. Exit code 1 when something fails; warnings alone leave it 0.',
    examples: ['keyward doctor', 'keyward doctor --json | jq \'.checks[] | select(.state != "ok")\''],
  })
    .option('--data <folder>', "the server's data folder (default: $KEYWARD_DATA or ~/.local/share/keyward)")
    .action(async (options: DoctorOptions) => {
      const checks = await allChecks(needs, options, dataFolder(env, options.data))
      if (checks.some(({ state }) => state === 'fail')) answer(exitNegative)
      if (options.json) return terminal.json({ checks })
      for (const { name, state, detail, todo } of checks) {
        const line = `${terminal.tint(tints[state], state.padEnd(4))}  ${name.padEnd(12)}  ${printable(detail)}`
        terminal.write(todo ? `${line}\n${' '.repeat(20)}${printable(todo)}.\n` : `${line}\n`)
      }
    })
}

async function allChecks(needs: Needs, options: DoctorOptions, dataDir: string): Promise<Check[]> {
  const address = serverAddress(needs.env, options.address)
  const [data, disk, git, sandbox, serverDate, server] = await Promise.all([
    checkDataFolder(dataDir),
    checkDisk(dataDir),
    checkProgram('git', ['--version'], 'The git history will not be scanned. Install git'),
    checkIsolation(needs.env['KEYWARD_SANDBOX']),
    dateOf(address),
    serverChecks(needs, options),
  ])
  return [
    checkNode(process.versions.node),
    git,
    sandbox,
    data,
    disk,
    checkClock(new Date(), serverDate),
    ...server,
  ]
}

/** Any answer carries the server's time, also one that refuses. */
async function dateOf(address: string): Promise<Date | undefined> {
  try {
    const response = await fetch(`${address}/healthz`, {
      signal: AbortSignal.timeout(dateTimeoutMilliseconds),
    })
    await response.body?.cancel()
    const date = response.headers.get('date')
    return date === null ? undefined : new Date(date)
  } catch {
    return
  }
}

async function serverChecks(needs: Needs, options: CommonOptions): Promise<Check[]> {
  try {
    const client = await connect(needs, options)
    return statusChecks(await client.call(api.system.status, {}))
  } catch (error) {
    return [serverFailure(error)]
  }
}

function serverFailure(error: unknown): Check {
  const detail = reasonOf(error)
  const expected =
    error instanceof AppError && ['server.unreachable', 'session.required'].includes(error.code)
  return { name: 'server', state: expected ? 'warn' : 'fail', detail }
}

function statusChecks(status: SystemStatus): Check[] {
  const { version, vault, store, audit, sandbox, proxy, connections } = status
  return [
    { name: 'server', state: 'ok', detail: `Keyward ${version}` },
    vaultCheck(vault),
    healthCheck('store', store.health, store.dialect, 'Look at the log: nothing can be kept'),
    healthCheck(
      'audit',
      audit.health,
      `${audit.seq} entries`,
      'Nothing may be done until it can be written: look at the log',
    ),
    healthCheck('proxy', proxy.health, 'egress proxy', 'Tasks that use secrets cannot run: look at the log'),
    {
      name: 'isolation',
      state: sandbox.level === 'full' ? 'ok' : 'warn',
      detail: [
        `level ${sandbox.level} on the server${sandbox.driver ? ` by ${sandbox.driver}` : ''}`,
        ...sandbox.reasons,
      ].join('; '),
    },
    ...connectionChecks(connections ?? []),
    ...hostChecks(status.hosts),
  ]
}

function vaultCheck({ initialised, sealed, seal }: SystemStatus['vault']): Check {
  const name = 'vault'
  if (!initialised)
    return { name, state: 'warn', detail: 'not initialised', todo: 'PUT /v1/sys/init, or: bao operator init' }
  if (sealed) return { name, state: 'fail', detail: 'sealed', todo: 'Unseal it: bao operator unseal' }
  return { name, state: 'ok', detail: `unsealed, ${seal} seal` }
}

/** Nothing where all runs are the server's own. */
function hostChecks(hosts: SystemStatus['hosts']): Check[] {
  if (!hosts || (hosts.temporal === null && hosts.active.temporal === 0)) return []
  const name = 'temporal'
  const count = `${hosts.active.temporal} runs on Temporal`
  if (!hosts.temporal) {
    const todo = 'They stand still: set KEYWARD_TEMPORAL_ADDRESS again until they have ended'
    return [{ name, state: 'fail', detail: `${count}, and none is set`, todo }]
  }
  const { address, namespace, state, problem, untold } = hosts.temporal
  const detail = `${count}, ${address}, namespace ${namespace}, ${state}`
  if (state === 'up') return [{ name, state: 'ok', detail }]
  const todo = `${problem ?? 'Look at the log'}. ${untold} runs wait to be told`
  return [{ name, state: state === 'connecting' ? 'fail' : 'warn', detail, todo }]
}

/** One line for each kind of connected service. */
const connectionChecks = (kinds: NonNullable<SystemStatus['connections']>): Check[] =>
  kinds.map(({ connector, up, degraded, down, unknown, slowestMs }) => ({
    name: connector,
    state: down + degraded > 0 ? 'warn' : 'ok',
    detail: [
      ...Object.entries({ up, degraded, down, 'not asked yet': unknown })
        .filter(([, count]) => count > 0)
        .map(([state, count]) => `${count} ${state}`),
      ...(slowestMs === null ? [] : [`the slowest answered in ${slowestMs} ms`]),
    ].join(', '),
    ...(down + degraded > 0 ? { todo: 'See what it says: keyward connections list' } : {}),
  }))

type Health = SystemStatus['store']['health']

function healthCheck(name: string, health: Health, detail: string, todo: string): Check {
  if (health === 'ok') return { name, state: 'ok', detail }
  return { name, state: health === 'failing' ? 'fail' : 'warn', detail: `${detail}, ${health}`, todo }
}
