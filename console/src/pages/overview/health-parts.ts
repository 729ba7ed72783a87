import type { SystemStatus } from '@keyward/contract'

export type Health = SystemStatus['proxy']['health']
type Part = { name: string; health: Health; word: string; notes: readonly string[] }

const healthWord: Record<Health, string> = { ok: 'Working', degraded: 'Degraded', failing: 'Failing' }

/** The parts of the server, each with how it is and what there is to know. */
export function partsOf({ vault, audit, sandbox, proxy, store, hosts }: SystemStatus): Part[] {
  const open = vault.initialised && !vault.sealed
  const sealText = sealTexts[vault.seal]
  const levels = {
    full: ['ok', 'Full isolation'],
    'no-cgroup': ['degraded', 'Isolated, without cgroups'],
    none: ['failing', 'Not available'],
  } as const
  const [sandboxHealth, sandboxWord] = levels[sandbox.level]
  return [
    {
      name: 'Vault',
      health: open ? 'ok' : 'failing',
      word: open ? 'Unsealed' : vault.initialised ? 'Sealed' : 'Not initialised',
      notes: [sealText],
    },
    {
      name: 'Audit log',
      health: audit.health,
      word: healthWord[audit.health],
      notes: [`${audit.seq.toLocaleString()} entries in the chain`],
    },
    {
      name: 'Sandbox',
      health: sandboxHealth,
      word: sandboxWord,
      notes: [...(sandbox.driver ? [`By ${sandbox.driver}`] : []), ...sandbox.reasons],
    },
    { name: 'Egress proxy', health: proxy.health, word: healthWord[proxy.health], notes: [] },
    {
      name: 'Store',
      health: store.health,
      word: healthWord[store.health],
      notes: [store.dialect === 'sqlite' ? 'SQLite, embedded' : 'PostgreSQL'],
    },
    ...carriersOf(hosts),
  ]
}

/** Only where there is more to tell than that the server carries its runs itself. */
function carriersOf(hosts: SystemStatus['hosts']): Part[] {
  if (!hosts || (hosts.temporal === null && hosts.active.temporal === 0)) return []
  const { active, temporal } = hosts
  const notes = [`${active.embedded} carried by the server, ${active.temporal} by Temporal`]
  if (!temporal)
    return [
      {
        name: 'Runs',
        health: 'degraded',
        word: 'Standing still',
        notes: [...notes, 'No Temporal is set: its runs wait until KEYWARD_TEMPORAL_ADDRESS is back'],
      },
    ]
  const { state, problem, untold, address } = temporal
  if (problem !== null) notes.push(problem)
  if (untold > 0) notes.push(`Temporal is yet to hear of ${untold}; nothing of them is lost`)
  const up = state === 'up'
  return [
    {
      name: 'Runs',
      health: up ? 'ok' : 'degraded',
      word: up ? 'Working' : 'Waiting for Temporal',
      notes: [...notes, `Temporal at ${address}`],
    },
  ]
}

const sealTexts: Record<SystemStatus['vault']['seal'], string> = {
  keyfile: 'Unseals itself with the key file',
  transit: 'Unseals itself with another vault',
  awskms: 'Unseals itself with AWS KMS',
  shamir: 'Unsealed with key shares',
}
