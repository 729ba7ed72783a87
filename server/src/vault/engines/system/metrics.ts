export type VaultMetrics = {
  readonly requests: number
  readonly inFlight: number
  readonly tokens: number
  readonly leases: number
  readonly entities: number
  readonly mounts: number
  readonly memory: Pick<NodeJS.MemoryUsage, 'rss' | 'heapUsed' | 'heapTotal'>
  readonly uptimeSeconds: number
}

/** Under the names that dashboards for Vault look for. `/metrics` has what is Keyward's own. */
const known: readonly (readonly [string, string, (metrics: VaultMetrics) => number])[] = [
  ['vault.core.unsealed', 'Whether the vault is open.', () => 1],
  ['vault.core.active', 'Whether this server answers.', () => 1],
  ['vault.core.in_flight_requests', 'Requests that are being answered.', ({ inFlight }) => inFlight],
  ['vault.core.handle_request.count', 'Requests since the start.', ({ requests }) => requests],
  ['vault.core.mount_table.num_entries', 'Mounts.', ({ mounts }) => mounts],
  ['vault.expire.num_leases', 'Leases in force.', ({ leases }) => leases],
  ['vault.token.count', 'Service tokens.', ({ tokens }) => tokens],
  ['vault.identity.num_entities', 'Entities.', ({ entities }) => entities],
  ['vault.runtime.alloc_bytes', 'Memory of the heap in use.', ({ memory }) => memory.heapUsed],
  ['vault.runtime.sys_bytes', 'Memory of the process.', ({ memory }) => memory.rss],
  ['vault.runtime.heap_objects_bytes', 'Memory of the heap.', ({ memory }) => memory.heapTotal],
  ['vault.runtime.uptime_seconds', 'Since the start.', ({ uptimeSeconds }) => uptimeSeconds],
]

export function renderVaultMetrics(
  metrics: VaultMetrics,
  format: string | undefined,
  now: Date,
): { contentType: string; text: string } {
  if (format !== 'prometheus') return { contentType: 'application/json', text: json(metrics, now) }
  const lines = known.flatMap(([dotted, help, value]) => {
    const name = dotted.replaceAll('.', '_')
    return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value(metrics)}`]
  })
  return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: `${lines.join('\n')}\n` }
}

const json = (metrics: VaultMetrics, now: Date): string =>
  `${JSON.stringify({
    Timestamp: now.toISOString().replace('T', ' ').replace('Z', ' +0000 UTC'),
    Gauges: known.map(([Name, , value]) => ({ Name, Value: value(metrics), Labels: {} })),
    Points: [],
    Counters: [],
    Samples: [],
  })}\n`
