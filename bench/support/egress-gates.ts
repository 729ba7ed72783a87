// What stands behind the proxy of bench/egress.ts.
import { join } from 'node:path'
import {
  auditMigrations,
  createAudit,
  createFileAnchor,
  openFileJournal,
} from '../../server/src/audit/index.ts'
import { busMigrations, createBus } from '../../server/src/bus/index.ts'
import { Secret, silentLog, systemClock, systemPrincipal } from '../../server/src/core/index.ts'
import { createEgressGate } from '../../server/src/flows/index.ts'
import { agentPrincipal, createIdentity, identityMigrations } from '../../server/src/identity/index.ts'
import { createLend, lendMigrations } from '../../server/src/lend/index.ts'
import { createPolicy } from '../../server/src/policy/index.ts'
import type { createProxy } from '../../server/src/proxy/index.ts'
import { openStore } from '../../server/src/store/index.ts'
import { keepSealed } from '../../server/test/support/sealed-bytes.ts'

type Gate = Parameters<typeof createProxy>[0]['gate']
export type Behind = {
  readonly gate: Gate
  readonly agentId: string
  readonly placeholder: string
  close(): Promise<void>
}

/** Allows at once and records nothing, so that what is measured is the proxy. */
export const nothingBehind = (value: string): Behind => ({
  gate: {
    admit: async () => ({ allow: true, reason: '' }),
    resolve: async () => ({ value: new Secret(value), leaseId: 'lea_1' }),
    record: async () => undefined,
  },
  agentId: 'agt_1',
  placeholder: `kwp_${'0123456789abcdef'.repeat(2)}`,
  close: async () => undefined,
})

/** As in the server: policy, a lease whose uses are counted, audit entries on disk. Only the vault is a constant. */
export async function everythingBehind(host: string, value: string, dataDir: string): Promise<Behind> {
  const clock = systemClock
  const store = await openStore({ dataDir })
  await store.migrate([...auditMigrations, ...busMigrations, ...identityMigrations, ...lendMigrations])
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const journal = openFileJournal(join(dataDir, 'audit.journal'), 'disk')
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined, journal })
  await audit.start()
  const needs = { store, audit, clock, log: silentLog, bus: createBus({ store, clock, log: silentLog }) }
  const [identity, policy] = [createIdentity({ ...needs, sealed: keepSealed() }), createPolicy(needs)]
  const kv = { read: async () => ({ data: { value: new Secret(value) } }), write: async () => undefined }
  const sealed = { get: async () => undefined, put: async () => undefined, delete: async () => undefined }
  const lend = createLend({
    ...needs,
    identity,
    policy,
    vault: { kv, sealed },
    placeholderForm: async () => undefined,
    probesFor: () => [],
  })
  const by = systemPrincipal('bench')
  const asked = { secretPath: 'secret/shop/payments', destinations: [{ host, port: 443 }] }
  const agent = await store.write(async (tx) => {
    const made = await identity.registerAgent(tx, { name: 'builder', description: '', owner: by })
    await lend.grant(tx, { ...asked, agentId: made.agent.id, maxTtlSeconds: 3600, reason: 'measures', by })
    return made.agent
  })
  const { placeholder } = await lend.request({
    ...asked,
    principal: agentPrincipal(agent),
    field: 'value',
    purpose: 'measure',
    ttlSeconds: 3600,
  })
  return {
    gate: createEgressGate({ ...needs, identity, policy, lend }),
    agentId: agent.id,
    placeholder: placeholder,
    async close() {
      audit.close()
      await store.close()
    },
  }
}
