import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Vault } from '../src/vault/index.ts'
import { away, createLedger, type Ledger, openWithLedger, tokenFrom } from './support/ledger.ts'
import { type Caller, callerOf, openVault, type VaultWorld } from './support/vault-server.ts'
import { createTestClock, type TestClock, temporaryFolder } from './support/world.ts'

const minute = 60_000
const steps = 60

/** The same numbers for the same seed: https://en.wikipedia.org/wiki/Linear_congruential_generator */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

type Chaos = {
  readonly random: (below: number) => number
  readonly ledger: Ledger
  readonly root: Caller
  /** Names by the ids of their leases, as callers were told. */
  readonly told: Map<string, string>
  readonly vault: () => Vault
  readonly clock: () => TestClock
  setFailing(percent: number): void
  restart(): Promise<void>
  readonly rootToken: string
}

/** A vault that can be restarted, with a ledger that fails and dawdles. */
async function openChaos(t: TestContext, seed: number): Promise<Chaos> {
  const random = numbers(seed)
  const dataDir = temporaryFolder(t)
  const ledger = createLedger()
  let failing = 0
  const perhaps = async (): Promise<void> => {
    await turns(random(4))
    if (random(100) < failing) await away()
  }
  ledger.onMake = async (name) => {
    // It may be made and the answer lost.
    if (random(2) === 0) ledger.accounts.add(name)
    await perhaps()
  }
  ledger.onEnd = perhaps
  ledger.onExtend = perhaps
  const opened = await openWithLedger(t, { ledger, dataDir })
  let world: VaultWorld = opened
  return {
    random,
    ledger,
    root: (...request) => callerOf(world.vault, opened.rootToken)(...request),
    told: new Map(),
    vault: () => world.vault,
    clock: () => world.clock,
    rootToken: opened.rootToken,
    setFailing(percent) {
      failing = percent
    },
    async restart() {
      await world.vault.leases.idle()
      await world.close()
      const clock = createTestClock(world.clock.now())
      world = await openVault(t, { dataDir, clock, engines: { ledger: async () => ledger.engine } })
      await world.vault.openAtStart()
    },
  }
}

/** What may happen at the same time as anything else, and what happens alone. */
function actsOf({ random, root, told, vault, clock, setFailing, restart, rootToken }: Chaos) {
  const tokens: string[] = []
  const pick = <T>(of: readonly T[]): T | undefined => of[random(of.length)]
  const someLease = (): string => pick([...told.keys()]) ?? 'none'

  async function grant(): Promise<void> {
    const token = pick([rootToken, ...tokens]) ?? rootToken
    const { status, body } = await callerOf(vault(), token)('GET', `books/creds/role${random(3)}`)
    if (status === 200) told.set(String(body['lease_id']), (body['data'] as { username: string }).username)
  }
  const together: (() => Promise<unknown>)[] = [
    grant,
    grant,
    grant,
    grant,
    async () => tokens.push((await tokenFrom(root, { policies: ['root'], ttl: '20m' })).token),
    () => root('POST', 'auth/token/revoke', { token: tokens.splice(random(tokens.length), 1)[0] ?? 'none' }),
    () => root('POST', 'sys/leases/renew', { lease_id: someLease() }),
    () => root('POST', 'sys/leases/revoke', { lease_id: someLease(), sync: random(2) === 0 }),
    () => root('POST', `sys/leases/revoke-prefix/books/creds/role${random(3)}`, { sync: random(2) === 0 }),
    async () => clock().advance(random(5) * minute),
    async () => setFailing(random(3) * 40),
  ]
  const alone: (() => Promise<unknown>)[] = [
    async () => {
      const cut = [grant(), grant()]
      await root('POST', 'sys/seal')
      await Promise.all(cut)
      clock().advance(minute)
      await vault().unsealByItself()
    },
    restart,
  ]
  return { together, alone, pick }
}

async function assertKept({ vault, ledger, told }: Chaos, where: string): Promise<void> {
  await vault().leases.idle()
  assert.ok(ledger.accounts.size <= (await vault().leases.count()), `${where}: more outside than has a lease`)
  for (const { id, state } of (await vault().leases.page({ limit: 1000 })).items)
    if (state === 'live')
      assert.ok(ledger.accounts.has(told.get(id) ?? ''), `${where}: ${id} is worth nothing`)
}

/** Grants, renewals, ends, outages, seals and restarts in any order, some of them at once. */
async function chaos(t: TestContext, seed: number): Promise<void> {
  const world = await openChaos(t, seed)
  const { together, alone, pick } = actsOf(world)
  for (let step = 0; step < steps; step++) {
    const count = 1 + world.random(6)
    await Promise.all(Array.from({ length: count }, () => pick(together)?.()))
    if (world.random(8) === 0) await pick(alone)?.()
    if (step % 10 === 0) await assertKept(world, `seed ${seed}, step ${step}`)
  }
  world.setFailing(0)
  for (let i = 0; i < 100; i++) {
    world.clock().advance(2 * minute)
    await world.vault().expireTokens()
    await world.vault().leases.idle()
  }
  assert.equal(world.ledger.accounts.size, 0, `seed ${seed}`)
  assert.equal(await world.vault().leases.count(), 0, `seed ${seed}`)
}

for (const seed of [1, 2, 3, 4, 5, 6])
  test(`LEND-1, VAULT-3: whatever happens in whatever order, nothing is left and nothing lives without a lease (seed ${seed})`, (t) =>
    chaos(t, seed))
