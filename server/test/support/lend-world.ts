import type { TestContext } from 'node:test'
import type { Proof } from '@keyward/contract'
import { AppError, Secret, silentLog, systemPrincipal } from '../../src/core/index.ts'
import {
  type Agent,
  agentPrincipal,
  createIdentity,
  type Identity,
  identityMigrations,
  randomToken,
} from '../../src/identity/index.ts'
import {
  type Claim,
  createLend,
  type LeaseRequest,
  type Lend,
  lendMigrations,
  type NewGrant,
  type Probe,
  type ProbedLease,
} from '../../src/lend/index.ts'
import { createPolicy, type Policy } from '../../src/policy/index.ts'
import { createScanner } from '../../src/scan/index.ts'
import type { Migration } from '../../src/store/index.ts'
import { keepSealed } from './sealed-bytes.ts'
import { openWorld, type World } from './world.ts'

/** Who grants and revokes in these tests. */
export const system = systemPrincipal('test')
const secretPath = 'secret/shop/payments'
const destinations = [{ host: 'api.example.com', port: 443 }]

export type LendWorld = Awaited<ReturnType<typeof openWorld>> & {
  lend: Lend
  identity: Identity
  policy: Policy
  agent: Agent
  value: string
  vault: { sealed: boolean; fields: Record<string, string> }
  kv: { read(path: string): Promise<{ data: Record<string, Secret> } | undefined> }
  /** What is kept encrypted, by its path. */
  sealed: Map<string, Buffer>
  /** Who shows that a lease has ended: whoever uses it, unless a test says otherwise. */
  probes: Probe[]
}

/** Lending over a real store with the real policies, and a vault that holds one secret. */
export async function openLendWorld(
  t: TestContext,
  options: Parameters<typeof openWorld>[2] = {},
  name = 'builder',
  migrations: readonly Migration[] = [],
): Promise<LendWorld> {
  const world = await openWorld(t, [...identityMigrations, ...lendMigrations, ...migrations], options)
  const identity = createIdentity({ ...world, log: silentLog, sealed: keepSealed() })
  const policy = createPolicy(world)
  const value = randomToken('sk_test_', 24).reveal()
  const vault = { sealed: false, fields: { value } as Record<string, string> }
  const kv = {
    async read(path: string) {
      if (vault.sealed) throw new AppError('vault.sealed')
      if (path !== secretPath) return undefined
      return { data: mapped(vault.fields, (text) => new Secret(text)) }
    },
    async write(_tx: unknown, _path: string, data: Readonly<Record<string, Secret>>) {
      vault.fields = mapped(data, (secret) => secret.reveal())
    },
  }
  const sealed = new Map<string, Buffer>()
  const storage = {
    get: async (path: string) => sealed.get(path),
    put: async (_tx: unknown, path: string, bytes: Uint8Array) => void sealed.set(path, Buffer.from(bytes)),
    delete: async (_tx: unknown, path: string) => void sealed.delete(path),
  }
  const probes: Probe[] = [(lease) => useAgain(lend, lease)]
  const lend = createLend({
    ...world,
    log: silentLog,
    identity,
    policy,
    vault: { kv, sealed: storage },
    placeholderForm: async (like) =>
      createScanner({ fingerprintKey: Buffer.alloc(32, 1) }).placeholderForm(like),
    probesFor: () => probes,
  })
  const { agent } = await world.store.write((tx) =>
    identity.registerAgent(tx, { name, description: '', owner: system }),
  )
  return { ...world, lend, identity, policy, agent, value, vault, kv, sealed, probes }
}

/** What the proxy asks when a placeholder comes, without a proxy. */
async function useAgain(lend: Lend, { destination, ...lease }: ProbedLease): Promise<Proof[]> {
  const at = { host: destination.host, port: destination.port, method: 'GET', path: '/', places: ['bearer'] }
  const claim = { ...lease, ...at, sandboxId: 'probe' }
  const answer = await lend.use(claim).then(
    () => 'exchanged',
    (error: AppError) => error.code,
  )
  const result = answer === 'lease.ended' ? 'refused' : 'accepted'
  return [{ by: 'egress proxy', how: 'a request with its placeholder', answer, result, livesUntil: null }]
}

const mapped = <A, B>(fields: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, change(value)]))

export const give = (
  { store, lend, agent }: LendWorld,
  more: Partial<NewGrant> = {},
): Promise<{ grantId: string }> =>
  store.write((tx) =>
    lend.grant(tx, {
      agentId: agent.id,
      secretPath,
      destinations,
      maxTtlSeconds: 600,
      reason: 'pays invoices',
      by: system,
      ...more,
    }),
  )

/** The request of an agent that fits the grant. */
export const ask = ({ agent }: LendWorld, more: Partial<LeaseRequest> = {}): LeaseRequest => ({
  principal: agentPrincipal(agent),
  secretPath,
  field: 'value',
  purpose: 'pay an invoice',
  destinations,
  ttlSeconds: 300,
  ...more,
})

/** A grant, a lease, and the claim that uses it rightly. */
export async function lent(
  world: LendWorld,
  more: Partial<LeaseRequest> = {},
  grant: Partial<NewGrant> = {},
) {
  await give(world, grant)
  const { lease, placeholder } = await world.lend.request(ask(world, more))
  const claim: Claim = {
    placeholder,
    agentId: world.agent.id,
    sandboxId: 'sbx_1',
    host: 'api.example.com',
    port: 443,
    method: 'POST',
    path: '/v1/charges?expand=all',
    places: ['bearer'],
  }
  return { lease, placeholder, claim }
}

export async function entries({ audit }: World, type: string) {
  return (await audit.page({ limit: 500, order: 'asc', type })).items
}
