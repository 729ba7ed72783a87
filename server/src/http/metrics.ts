import type { SystemStatus } from '@keyward/contract'

const rank = { ok: 1, degraded: 0.5, failing: 0 } as const

/** Prometheus text format: https://prometheus.io/docs/instrumenting/exposition_formats/ . Counts and states only, no names. */
export function renderMetrics(status: SystemStatus, memoryBytes: number): string {
  const lines: string[] = []
  const gauge: Gauge = (name, help, value) => {
    lines.push(`# HELP keyward_${name} ${help}`, `# TYPE keyward_${name} gauge`, `keyward_${name} ${value}`)
  }
  gauge('vault_sealed', 'Whether the vault is sealed.', status.vault.sealed ? 1 : 0)
  gauge('audit_writable', 'Whether audit entries can be written.', rank[status.audit.health])
  gauge('audit_entries', 'Length of the audit chain.', status.audit.seq)
  gauge('store_up', 'Whether the database can be written.', rank[status.store.health])
  gauge('proxy_up', 'Whether the egress proxy works.', rank[status.proxy.health])
  gauge('sandbox_available', 'Whether tasks can be isolated.', status.sandbox.level === 'none' ? 0 : 1)
  gauge('sandboxes_running', 'Sandboxes that run now.', status.sandbox.running)
  gauge('sandboxes_waiting', 'Sandboxes started ahead of their tasks.', status.sandbox.waiting ?? 0)
  gauge('findings_open', 'Findings that nobody has dealt with.', status.counts.openFindings)
  gauge('findings_imported', 'Findings whose value is in the vault.', status.counts.importedFindings)
  gauge('approvals_pending', 'Approvals that wait for a person.', status.counts.pendingApprovals)
  gauge('runs_active', 'Runs that have not ended.', status.counts.activeRuns)
  gauge('agents', 'Registered agents.', status.counts.agents)
  gauge('leases_active', 'Leases that are in force.', status.counts.activeLeases)
  gauge('asks_open', 'Secrets that agents have asked for.', status.openAsks ?? 0)
  leaseGauges(status, gauge)
  hostGauges(status.hosts, gauge)
  gauge(
    'vault_rotations_failing',
    'Passwords of databases that could not be changed in time.',
    status.failingRotations ?? 0,
  )
  if (status.backup && status.backup.state !== 'unconfigured')
    gauge('backup_up', 'Whether backups are made as they should be.', status.backup.state === 'ok' ? 1 : 0)
  if (status.backup?.lastDoneAt)
    gauge(
      'backup_last_timestamp_seconds',
      'When the last backup began.',
      Date.parse(status.backup.lastDoneAt) / 1000,
    )
  lines.push(...egressLines(status), ...frontLines(status.front), ...channelLines(status.channels))
  if (status.schedules) {
    const { count, failing, runs, failures, lastFinishedAt, lastSeconds } = status.schedules
    gauge('scan_schedules', 'Folders that are scanned again and again.', count)
    gauge('scan_schedules_failing', 'Those of them whose last scan failed.', failing)
    gauge('scan_schedule_runs', 'Scans that schedules have started.', runs)
    gauge('scan_schedule_failures', 'Those of them that failed.', failures)
    if (lastFinishedAt !== null && lastSeconds !== null) {
      const at = Date.parse(lastFinishedAt) / 1000
      gauge('scan_schedule_last_timestamp_seconds', 'When the last of them ended.', at)
      gauge('scan_schedule_last_duration_seconds', 'How long it took.', lastSeconds)
    }
  }
  lines.push(...runScheduleLines(status.runSchedules), ...triggerLines(status.triggers))
  lines.push(...connectionLines(status.connections ?? []))
  gauge('resident_memory_bytes', 'Memory of the server process.', memoryBytes)
  return `${lines.join('\n')}\n`
}

type Gauge = (name: string, help: string, value: number) => void

function hostGauges(hosts: SystemStatus['hosts'], gauge: Gauge): void {
  if (!hosts) return
  gauge('runs_embedded', 'Runs that have not ended and that this process carries.', hosts.active.embedded)
  gauge('runs_temporal', 'Runs that have not ended and that Temporal carries.', hosts.active.temporal)
  if (!hosts.temporal) return
  gauge('temporal_up', 'Whether the worker of Temporal is connected.', hosts.temporal.state === 'up' ? 1 : 0)
  gauge('temporal_untold_runs', 'Runs of whose news Temporal is yet to hear.', hosts.temporal.untold)
  gauge('temporal_attempts_running', "Tasks of Temporal's runs in this process.", hosts.temporal.running)
}

function leaseGauges({ vaultLeases, leaseProofs }: SystemStatus, gauge: Gauge): void {
  gauge(
    'lease_ends_unproved',
    'Leases whose end could not be shown, or was shown not to hold.',
    leaseProofs?.unproved ?? 0,
  )
  if (!vaultLeases) return
  const { count, backlog, oldestAt } = vaultLeases
  gauge('vault_leases', "Leases of the vault's engines.", count)
  gauge('vault_lease_revocation_backlog', 'Leases that should have ended and have not.', backlog)
  gauge(
    'vault_lease_revocation_oldest_timestamp_seconds',
    'When the oldest of them should have ended; 0 when there is none.',
    oldestAt === null ? 0 : Date.parse(oldestAt) / 1000,
  )
}

function frontLines(front: SystemStatus['front']): string[] {
  if (!front) return []
  return [
    '# HELP keyward_front_entered_total Connections of agents on other machines.',
    '# TYPE keyward_front_entered_total counter',
    `keyward_front_entered_total ${front.entered}`,
    '# HELP keyward_front_refused_total Connections that got nowhere, by what was wrong.',
    '# TYPE keyward_front_refused_total counter',
    ...Object.entries(front.refused).map(
      ([why, value]) => `keyward_front_refused_total{why="${why}"} ${value}`,
    ),
  ]
}

function channelLines(channels: SystemStatus['channels']): string[] {
  if (!channels) return []
  const { waiting, sent, dead } = channels
  return [
    '# HELP keyward_channel_messages Messages to people, by what became of them; sent ones of the last month.',
    '# TYPE keyward_channel_messages gauge',
    ...Object.entries({ waiting, sent, dead }).map(
      ([state, value]) => `keyward_channel_messages{state="${state}"} ${value}`,
    ),
  ]
}

function triggerLines(triggers: SystemStatus['triggers']): string[] {
  if (!triggers) return []
  const { count, paused, failing, started, refused, deliveries } = triggers
  return [
    '# HELP keyward_triggers What events of connected services start; failing: their last event was refused.',
    '# TYPE keyward_triggers gauge',
    ...Object.entries({ active: count - paused, paused, failing }).map(
      ([state, value]) => `keyward_triggers{state="${state}"} ${value}`,
    ),
    '# HELP keyward_trigger_events Events of triggers by what became of them.',
    '# TYPE keyward_trigger_events gauge',
    `keyward_trigger_events{outcome="started"} ${started}`,
    `keyward_trigger_events{outcome="refused"} ${refused}`,
    '# HELP keyward_hook_deliveries Signed deliveries of connected services by what they led to.',
    '# TYPE keyward_hook_deliveries gauge',
    ...Object.entries(deliveries).map(([use, value]) => `keyward_hook_deliveries{use="${use}"} ${value}`),
  ]
}

function runScheduleLines(schedules: SystemStatus['runSchedules']): string[] {
  if (!schedules) return []
  const { count, paused, failing, started, refused, held = 0, skipped = 0, missedSpans = 0 } = schedules
  return [
    '# HELP keyward_run_schedules Flows that are started by the clock; failing: their last time was refused; held: an earlier run waits for a person, and none starts.',
    '# TYPE keyward_run_schedules gauge',
    ...Object.entries({ all: count, paused, failing, held }).map(
      ([state, value]) => `keyward_run_schedules{state="${state}"} ${value}`,
    ),
    '# HELP keyward_run_schedule_times Times of schedules by what became of them; missed: spans of times that went by while the server was away.',
    '# TYPE keyward_run_schedule_times gauge',
    ...Object.entries({ started, refused, skipped, missed: missedSpans }).map(
      ([outcome, value]) => `keyward_run_schedule_times{outcome="${outcome}"} ${value}`,
    ),
  ]
}

function connectionLines(kinds: NonNullable<SystemStatus['connections']>): string[] {
  if (kinds.length === 0) return []
  const answered = kinds.filter(({ slowestMs }) => slowestMs !== null)
  return [
    '# HELP keyward_connector_up Whether all connections of a kind are up, as of when they were last asked.',
    '# TYPE keyward_connector_up gauge',
    ...kinds.map(
      ({ connector, degraded, down }) =>
        `keyward_connector_up{connector="${connector}"} ${down > 0 ? 0 : degraded > 0 ? 0.5 : 1}`,
    ),
    '# HELP keyward_connections Connections of a kind, by how they were when they were last asked.',
    '# TYPE keyward_connections gauge',
    ...kinds.flatMap(({ connector, up, degraded, down, unknown }) =>
      Object.entries({ up, degraded, down, unknown }).map(
        ([state, count]) => `keyward_connections{connector="${connector}",state="${state}"} ${count}`,
      ),
    ),
    '# HELP keyward_connector_latency_milliseconds How long the slowest of them took to answer.',
    '# TYPE keyward_connector_latency_milliseconds gauge',
    ...answered.map(
      ({ connector, slowestMs }) =>
        `keyward_connector_latency_milliseconds{connector="${connector}"} ${slowestMs}`,
    ),
  ]
}

function egressLines({ egress, open }: Pick<SystemStatus, 'egress' | 'open'>): string[] {
  if (!egress) return []
  const help = 'Requests of sandboxes; misused: with a placeholder where it was not lent for.'
  return [
    `# HELP keyward_egress_requests_total ${help}`,
    '# TYPE keyward_egress_requests_total counter',
    ...Object.entries(egress).map(
      ([outcome, value]) => `keyward_egress_requests_total{outcome="${outcome}"} ${value}`,
    ),
    '# HELP keyward_egress_open Connections of sandboxes that are open now, by what they carry.',
    '# TYPE keyward_egress_open gauge',
    ...Object.entries(open ?? {}).map(([kind, value]) => `keyward_egress_open{kind="${kind}"} ${value}`),
  ]
}
