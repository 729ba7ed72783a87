import os from 'node:os'
import type { Clock } from '../../../core/index.ts'
import type { Answer, PathSpec } from '../../engine.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Mounts } from '../../mounts.ts'
import type { RequestCounts } from '../../request-counts.ts'
import type { Tokens } from '../../tokens/tokens.ts'
import type { VersionHistory } from '../../version-history.ts'
import { renderVaultMetrics, type VaultMetrics } from './metrics.ts'

type Needs = {
  clock: Pick<Clock, 'now'>
  version: string
  mounts: Pick<Mounts, 'all'>
  tokens: Pick<Tokens, 'accessors'>
  identity: Pick<Identity, 'countEntities'>
  countLeases: () => Promise<number>
  requests: RequestCounts
  versions: VersionHistory
}

/** What the server says about itself and its machine. */
export function serverPaths(needs: Needs): PathSpec[] {
  return [...aboutPaths(needs), ...counterPaths(needs)]
}

function aboutPaths({ clock, requests, versions, ...needs }: Needs): PathSpec[] {
  async function metrics(): Promise<VaultMetrics> {
    return {
      requests: requests.total(),
      inFlight: requests.inFlight().length,
      tokens: (await needs.tokens.accessors()).length,
      leases: await needs.countLeases(),
      entities: await needs.identity.countEntities(),
      mounts: needs.mounts.all().length,
      memory: process.memoryUsage(),
      uptimeSeconds: process.uptime(),
    }
  }
  return [
    {
      pattern: 'metrics',
      async read({ query }) {
        const { contentType, text } = renderVaultMetrics(await metrics(), query['format'], clock.now())
        return { raw: { contentType, bytes: Buffer.from(text) } }
      },
    },
    { pattern: 'host-info', read: async () => ({ data: hostInfo(clock.now()) }) },
    {
      pattern: 'in-flight-req',
      read: async (): Promise<Answer> => ({
        raw: { contentType: 'application/json', bytes: Buffer.from(JSON.stringify(inFlightView(requests))) },
      }),
    },
    {
      pattern: 'version-history',
      async list() {
        const history = await versions.all()
        return {
          data: {
            keys: history.map(({ version }) => version),
            key_info: Object.fromEntries(
              history.map(({ version, installedAt }, i) => [
                version,
                {
                  timestamp_installed: installedAt,
                  build_date: '',
                  previous_version: history[i - 1]?.version ?? null,
                },
              ]),
            ),
          },
        }
      },
    },
    { pattern: 'experiments', read: async () => ({ data: { available: [], enabled: [] } }) },
    { pattern: 'replication/status', read: async () => ({ data: { mode: 'disabled' } }) },
  ]
}

function inFlightView(requests: RequestCounts): Record<string, unknown> {
  return Object.fromEntries(
    requests.inFlight().map(({ id, path, method, remoteAddress, startedAt }) => [
      id,
      {
        start_time: new Date(startedAt).toISOString(),
        client_remote_address: remoteAddress ?? '',
        request_path: `/v1/${path}`,
        request_method: method,
      },
    ]),
  )
}

function counterPaths({ tokens, identity }: Needs): PathSpec[] {
  const removed: Answer = { status: 404, errors: ['The functionality has been removed on this path'] }
  return [
    { pattern: 'internal/counters/requests', read: async () => removed },
    {
      pattern: 'internal/counters/tokens',
      read: async () => ({
        data: { counters: { service_tokens: { total: (await tokens.accessors()).length } } },
      }),
    },
    {
      pattern: 'internal/counters/entities',
      read: async () => ({ data: { counters: { entities: { total: await identity.countEntities() } } } }),
    },
    // Who uses the vault is in the audit log; nothing is counted for a licence, and no data is 204 here.
    { pattern: 'internal/counters/activity', read: async () => ({}) },
    { pattern: 'internal/counters/activity/monthly', read: async () => ({}) },
    { pattern: 'internal/counters/activity/export', read: async () => ({}) },
    {
      pattern: 'internal/counters/config',
      read: async () => ({
        data: {
          default_report_months: 12,
          enabled: 'default-disabled',
          queries_available: false,
          retention_months: 0,
        },
      }),
    },
    {
      pattern: 'internal/ui/feature-flags',
      anyToken: true,
      read: async () => ({ data: { feature_flags: [] } }),
    },
  ]
}

function hostInfo(now: Date): Record<string, unknown> {
  const free = os.freemem()
  const total = os.totalmem()
  return {
    timestamp: now.toISOString(),
    cpu: os.cpus().map(({ model, speed }, cpu) => ({ cpu, modelName: model, mhz: speed, cores: 1 })),
    cpu_times: os.cpus().map(({ times }, cpu) => ({
      cpu: `cpu${cpu}`,
      user: times.user / 1000,
      system: times.sys / 1000,
      idle: times.idle / 1000,
      nice: times.nice / 1000,
      irq: times.irq / 1000,
    })),
    disk: null,
    host: {
      hostname: os.hostname(),
      uptime: Math.floor(os.uptime()),
      os: process.platform,
      platform: process.platform,
      kernelVersion: os.release(),
      kernelArch: os.machine(),
    },
    memory: {
      total,
      free,
      available: free,
      used: total - free,
      usedPercent: ((total - free) / total) * 100,
    },
  }
}
