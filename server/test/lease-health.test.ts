import assert from 'node:assert/strict'
import { test } from 'node:test'
import { approvalsMigrations } from '../src/approvals/index.ts'
import { auditMigrations } from '../src/audit/index.ts'
import { busMigrations } from '../src/bus/index.ts'
import { createCondition } from '../src/condition.ts'
import { renderMetrics } from '../src/http/index.ts'
import { vaultMigrations } from '../src/vault/index.ts'
import { workflowMigrations } from '../src/workflow/index.ts'
import { away, back, granted, openWithLedger } from './support/ledger.ts'

test('OBS-1, VAULT-3: leases that will not end degrade the health, and show in status and metrics', async (t) => {
  const { root, ledger, vault, clock, store, audit } = await openWithLedger(t)
  await store.migrate([
    ...auditMigrations,
    ...busMigrations,
    ...vaultMigrations,
    ...workflowMigrations,
    ...approvalsMigrations,
  ])
  let unproved: { count: number; oldestAt: Date | null } = { count: 0, oldestAt: null }
  const { status, health } = createCondition({
    store,
    clock,
    audit,
    vault,
    version: '0.0.0',
    backups: {
      status: async () => Object.assign(Object.create(null), { state: 'unconfigured', lastDoneAt: null }),
    },
    workflow: {
      hosts: async () => ({ forNewRuns: 'embedded', active: { embedded: 0, temporal: 0 }, temporal: null }),
    },
    channels: { counts: async () => ({ count: 0, waiting: 0, sent: 0, dead: 0 }) },
    connectors: { counts: async () => [] },
    findings: { counts: async () => Object.assign(Object.create(null), { open: 0, imported: 0 }) },
    runSchedules: {
      counts: async () => ({
        count: 0,
        paused: 0,
        failing: 0,
        started: 0,
        refused: 0,
        skipped: 0,
        missedSpans: 0,
        held: 0,
      }),
    },
    triggers: {
      counts: async () => ({
        ...{ count: 0, paused: 0, failing: 0, started: 0, refused: 0 },
        deliveries: { starts: 0, wakes: 0, ping: 0, unused: 0 },
      }),
    },
    schedules: {
      counts: async () => ({
        count: 0,
        failing: 0,
        runs: 0,
        failures: 0,
        lastFinishedAt: null,
        lastSeconds: null,
      }),
    },
    identity: { countAgents: async () => 0 },
    lend: {
      countActive: async () => new Map(),
      unproved: async () => unproved,
      asks: { countOpen: async () => 3 },
    },
    proxy: {
      health: () => ({ state: 'ok', reason: null, pid: null, restarts: 0, channels: 0 }),
      openNow: () => ({ https: 2, websocket: 0, unopened: 0, postgres: 1, redis: 0, ssh: 0 }),
    },
    egress: { counts: () => ({ allowed: 3, denied: 2, misused: 1, failed: 0 }) },
    remote: { state: () => undefined },
    sandbox: {
      probe: async () => Object.assign(Object.create(null), { level: 'none', reasons: [] }),
      running: () => [],
      waiting: () => 0,
    },
  })
  const metric = async (name: string): Promise<string | undefined> =>
    new RegExp(`^keyward_${name} (.*)$`, 'm').exec(renderMetrics(await status(), 0))?.[1]

  assert.equal(await metric('egress_requests_total{outcome="misused"}'), '1')
  assert.equal(await metric('egress_open{kind="https"}'), '2')
  unproved = { count: 2, oldestAt: clock.now() }
  assert.match(
    (await health()).problems['lease receipts'] ?? '',
    /^the end of 2 leases .* since 2026-01-01T00:00/,
  )
  assert.equal(await metric('lease_ends_unproved'), '2')
  assert.equal(await metric('asks_open'), '3')
  unproved = { count: 0, oldestAt: null }
  await granted(root)
  await granted(root)
  assert.equal((await health()).state, 'ok')
  assert.deepEqual([await metric('vault_leases'), await metric('vault_lease_revocation_backlog')], ['2', '0'])

  ledger.onEnd = away
  clock.advance(11 * 60_000)
  await vault.leases.idle()
  const { state, problems } = await health()
  assert.equal(state, 'degraded')
  assert.match(problems['leases'] ?? '', /^2 leases .*, the oldest 2026-01-01T00:10:00.000Z$/)
  assert.equal(await metric('vault_lease_revocation_backlog'), '2')
  assert.match((await status()).vaultLeases?.error ?? '', /the ledger is away/)

  ledger.onEnd = back
  clock.advance(20 * 60_000)
  await vault.leases.idle()
  assert.equal((await health()).state, 'ok')
  assert.deepEqual([await metric('vault_leases'), await metric('vault_lease_revocation_backlog')], ['0', '0'])
})
