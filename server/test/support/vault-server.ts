import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Log, Secret, silentLog, systemClock } from '../../src/core/index.ts'
import { createVaultFront } from '../../src/http/vault/index.ts'
import {
  type Ceiling,
  createVault,
  type SealOptions,
  type Vault,
  vaultMigrations,
} from '../../src/vault/index.ts'
import { cleanUp } from './clean-up.ts'
import { openWorld, type TestClock, type World } from './world.ts'

type Engines = NonNullable<Parameters<typeof createVault>[0]['engines']>
type Options = {
  ceiling?: Ceiling
  dataDir?: string
  clock?: TestClock
  databaseUrl?: string
  log?: Log
  engines?: Engines
}

export type VaultWorld = World & { vault: Vault; close(): Promise<void> }

/** A vault on a store of its own, loaded and neither initialised nor unsealed. */
export async function openVault(
  t: TestContext,
  { ceiling, engines, log = silentLog, ...options }: Options = {},
): Promise<VaultWorld> {
  const world = await openWorld(t, vaultMigrations, options)
  const { store, audit, clock, dataDir } = world
  const keyFile = join(dataDir, 'unseal.key')
  const vault = createVault({
    store,
    audit,
    clock,
    log,
    keyFile,
    auditFolders: [join(dataDir, 'audit')],
    ...(ceiling ? { ceiling } : {}),
    ...(engines ? { engines } : {}),
  })
  await vault.load()
  const close = async (): Promise<void> => {
    vault.close()
    await world.close()
  }
  return { ...world, vault, close }
}

/** The same, initialised (by key file unless said otherwise) and open. */
export async function openUnsealedVault(
  t: TestContext,
  options: Options & { seal?: SealOptions } = {},
): Promise<VaultWorld & { rootToken: string; shares: string[] }> {
  const world = await openVault(t, options)
  const made = await world.vault.initialise(options.seal ?? { seal: 'keyfile' })
  for (const share of made.shares) await world.vault.unseal(share)
  return { ...world, rootToken: made.rootToken.reveal(), shares: made.shares.map((share) => share.reveal()) }
}

/** Serves the dialect of a vault on a random port of the loopback interface. */
export async function serveVault(
  t: TestContext,
  vault: Pick<Vault, 'handle' | 'admits'>,
): Promise<{ url: string; port: number }> {
  const front = createVaultFront({ vault, log: silentLog, clock: systemClock, knowsHost: () => true })
  const server = createServer(front.handler)
  const lane = front.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    lane.closeAll()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port }
}

type Reply = { status: number; body: Record<string, unknown> }
/** What a request carries beside its token and body. */
type Circumstances = { remoteAddress?: string | undefined; wrapTtl?: string }
export type Caller = (
  method: 'GET' | 'HEAD' | 'LIST' | 'POST' | 'PUT' | 'DELETE' | 'PATCH',
  path: string,
  body?: unknown,
  circumstances?: Circumstances,
) => Promise<Reply>

/** Calls the vault without HTTP in between, as a token would. */
export function callerOf(vault: Pick<Vault, 'handle'>, token?: string): Caller {
  return async (method, path, body, circumstances = {}) => {
    const [bare = '', search = ''] = path.split('?')
    const { status, body: text } = await vault.handle({
      ...circumstances,
      method,
      path: method === 'LIST' && !bare.endsWith('/') ? `${bare}/` : bare,
      query: Object.fromEntries(new URLSearchParams(search)),
      token: token === undefined ? undefined : new Secret(token),
      body: body === undefined ? undefined : new Secret(JSON.stringify(body)),
    })
    return { status, body: text ? (JSON.parse(text.reveal()) as Record<string, unknown>) : {} }
  }
}
