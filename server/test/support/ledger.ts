import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { AppError } from '../../src/core/index.ts'
import type { Engine } from '../../src/vault/index.ts'
import { type Caller, callerOf, openUnsealedVault, type VaultWorld } from './vault-server.ts'

/** What stands for a database: it knows who has an account, and fails, hangs or stops as it is told. */
export type Ledger = {
  readonly accounts: Set<string>
  /** What it was asked to do, in order. */
  readonly calls: string[]
  onMake: (name: string) => Promise<void>
  onEnd: (name: string) => Promise<void>
  onExtend: (name: string, until: Date) => Promise<void>
  readonly type: string
  engine: () => Engine
}

type Terms = {
  prefix?: string
  ttlSeconds?: number
  maxTtlSeconds?: number
  renewable?: boolean
  mostLeases?: number
}

/** A secrets engine whose credentials are names in a set: `creds/<role>`. */
export function createLedger({ prefix = '', ...terms }: Terms = {}): Ledger {
  let next = 0
  const accounts = new Set<string>()
  const calls: string[] = []
  const ledger: Ledger = {
    accounts,
    calls,
    onMake: async () => undefined,
    onEnd: async () => undefined,
    onExtend: async () => undefined,
    type: 'ledger',
    engine: () => ({
      type: 'ledger',
      paths: [
        {
          pattern: 'creds/{role}',
          grantsBy: ['read', 'update'],
          async grant({ params }) {
            const name = `${prefix}${params['role']}-${++next}`
            return {
              ttlSeconds: 600,
              maxTtlSeconds: 3600,
              renewable: true,
              mostLeases: 0,
              ...terms,
              role: params['role'] ?? '',
              state: { name },
              async make() {
                calls.push(`make ${name}`)
                await ledger.onMake(name)
                accounts.add(name)
                return { username: name, password: `made-up-${name}` }
              },
            }
          },
        },
      ],
      async wipe() {},
      async endLease({ state }) {
        const name = String(state['name'])
        calls.push(`end ${name}`)
        await ledger.onEnd(name)
        accounts.delete(name)
      },
      async extendLease({ state }, until) {
        const name = String(state['name'])
        calls.push(`extend ${name}`)
        await ledger.onExtend(name, until)
      },
    }),
  }
  return ledger
}

export type LedgerWorld = VaultWorld & { root: Caller; ledger: Ledger; rootToken: string }

/** An open vault with a ledger mounted at `books/`. */
export async function openWithLedger(
  t: TestContext,
  options: Terms & { ledger?: Ledger; dataDir?: string; databaseUrl?: string } = {},
): Promise<LedgerWorld> {
  const { ledger = createLedger(options), dataDir, databaseUrl } = options
  const world = await openUnsealedVault(t, {
    engines: { ledger: async () => ledger.engine },
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  })
  const root = callerOf(world.vault, world.rootToken)
  assert.equal((await root('POST', 'sys/mounts/books', { type: 'ledger' })).status, 204)
  return { ...world, root, ledger }
}

export const away = async (): Promise<never> => {
  throw new AppError('server.unreachable', 'the ledger is away')
}
export const back = async (): Promise<void> => undefined

export type Granted = { id: string; name: string; seconds: number }

export async function granted(caller: Caller, path = 'books/creds/shop'): Promise<Granted> {
  const { status, body } = await caller('GET', path)
  assert.equal(status, 200, JSON.stringify(body))
  const { username } = body['data'] as { username: string }
  return { id: String(body['lease_id']), name: username, seconds: Number(body['lease_duration']) }
}

/** A token of the root token's, or of another. */
export async function tokenFrom(
  caller: Caller,
  wanted: object,
): Promise<{ token: string; accessor: string }> {
  const { status, body } = await caller('POST', 'auth/token/create', wanted)
  assert.equal(status, 200, JSON.stringify(body))
  const { client_token: token, accessor } = body['auth'] as { client_token: string; accessor: string }
  return { token, accessor }
}
