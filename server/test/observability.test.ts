// What deploy/observability ships is what the tools that read it understand, and asks for what the server has to tell.
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { api, type SystemStatus } from '@keyward/contract'
import { parse } from 'yaml'
import { traceIdOf } from '../src/core/index.ts'
import { renderMetrics } from '../src/http/index.ts'
import { cleanUp } from './support/clean-up.ts'
import { eventually } from './support/eventually.ts'
import { monitoringToolOrSkip } from './support/monitoring-tools.ts'
import { attributesOf, openOtlpServer } from './support/otlp-server.ts'
import { startServer } from './support/server.ts'
import { approve, ended } from './support/steps.ts'

const folder = fileURLToPath(new URL('../../deploy/observability', import.meta.url))
const read = (path: string): string => readFileSync(join(folder, path), 'utf8')

type Rules = {
  groups: { rules: { alert: string; expr: string; labels: { severity: string } }[] }[]
}
type Panel = {
  type: string
  title: string
  targets?: { expr: string }[]
  gridPos: { x: number; y: number; w: number; h: number }
}
type Dashboard = { uid: string; title: string; panels: Panel[] }

const rules = (parse(read('prometheus/keyward.rules.yml')) as Rules).groups.flatMap((group) => group.rules)
const dashboards = globSync('grafana/dashboards/*.json', { cwd: folder })
  .sort()
  .map((path) => JSON.parse(read(path)) as Dashboard)
const queries = dashboards.flatMap(({ title, panels }) =>
  panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr }) => ({
      of: `${title}, ${panel.title}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    })),
  ),
)

function scratchFile(t: TestContext, name: string, text: string): string {
  const path = mkdtempSync(join(tmpdir(), 'keyward-observability-'))
  cleanUp(t, () => rmSync(path, { recursive: true, force: true }))
  writeFileSync(join(path, name), text)
  return join(path, name)
}

/** The server has these only where the part of it is set up which they are about. */
const sometimes: Partial<SystemStatus> = {
  hosts: {
    forNewRuns: 'temporal',
    active: { embedded: 0, temporal: 0 },
    temporal: { address: '', namespace: '', state: 'up', problem: null, untold: 0, running: 0 },
  },
  backup: { state: 'ok', lastDoneAt: new Date(0).toISOString() },
  front: { address: null, entered: 0, refused: { rate: 0 } },
  connections: [{ connector: 'github', up: 1, degraded: 0, down: 0, unknown: 0, slowestMs: 1 }],
}

const namesIn = (metrics: string): string[] =>
  metrics.split('\n').flatMap((line) => /^(keyward_\w+)/.exec(line)?.[1] ?? [])
const metricsOf = (query: string): string[] => query.match(/\bkeyward_\w+/g) ?? []

test('OBS-1, OBS-2: a run shows in metrics, log and trace, and every metric that is asked for is there', async (t) => {
  const collector = await openOtlpServer(t)
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }
  const server = await startServer(t, { env })
  await server.ask('POST', '/v1/sys/mounts/transit', { body: { type: 'transit' } })
  await server.ask('POST', '/v1/transit/keys/shop', { body: {} })
  const goal = await server.call(api.goals.propose, { text: 'rotate the keys of shop' })
  const digest = goal.proposals[0]?.plan?.planDigest ?? ''
  const asking = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
  const { body } = await server.ask('POST', `/api/v1/goals/${goal.id}/start`, {
    body: { digest },
    headers: { traceparent: `00-${asking.traceId}-${asking.spanId}-01` },
  })
  const run = api.goals.start.result.parse(body)
  // The run ends while the collector is away, and the server is killed before it is back.
  collector.instead = 503
  await approve(server, run.id)
  const { state, flow } = await ended(server, run.id)
  assert.equal(state, 'Succeeded')

  const told = String((await server.ask('GET', '/metrics', { token: null })).body)
  const counted = new RegExp(`^keyward_runs_ended_total\\{flow="${flow}",state="Succeeded"\\} 1$`, 'm')
  assert.match(told, counted)
  assert.match(told, /^keyward_approvals_ended_total\{outcome="approved",channel="\w+"\} 1$/m)
  assert.match(told, /^keyward_task_attempt_seconds_count\{action="vault.rotate"\} [1-9]/m)
  assert.match(told, /^keyward_events_total\{event="run.started",outcome="intent"\} 1$/m)
  assert.match(told, /^keyward_problem\{part="store"\} 0$/m)
  const lines = server
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
  const own = lines.map((line) => JSON.parse(line)).filter((line) => line.workflow_id === run.id)
  assert.ok(own.some((line) => line.message === 'a run ended' && line.state === 'Succeeded'))
  assert.ok(own.some((line) => line.task_id && line.action === 'vault.rotate' && line.level === 'info'))

  const status = { ...(await server.call(api.system.status, {})), ...sometimes }
  const known = new Set([...namesIn(told), ...namesIn(renderMetrics(status, 1))])
  const wanted = [...rules, ...queries].flatMap(({ expr }) => metricsOf(expr))
  assert.deepEqual(
    [...new Set(wanted)].filter((name) => !known.has(name)),
    [],
  )
  const promtool = monitoringToolOrSkip(t, 'promtool')
  const checked = promtool?.(['check', 'metrics'], told)
  assert.doesNotMatch(checked?.text ?? '', /error while linting/)

  await eventually(async () => collector.refused > 0, 'a trace that is refused')
  await server.stop('SIGKILL')
  collector.instead = undefined
  const again = await startServer(t, { env, dataDir: server.dataDir, token: server.token })
  const root = await eventually(
    async () => collector.spans.find(({ parentSpanId }) => parentSpanId === undefined),
    'the trace after a kill',
  )
  const { spans } = collector
  assert.deepEqual(new Set(spans.map(({ traceId }) => traceId)), new Set([traceIdOf(run.id)]))
  assert.deepEqual(root.links, [asking])
  assert.ok(spans.some(({ name }) => name === 'execute_tool vault.rotate'))
  assert.ok(spans.some((span) => attributesOf(span)['keyward.approval.outcome'] === 'approved'))
  assert.ok(!collector.bodies.join('').includes(again.token))
})

test('OBS-2: promtool reads the configuration and the rules, and the rules do what their tests say', (t) => {
  const promtool = monitoringToolOrSkip(t, 'promtool')
  if (!promtool) return
  for (const args of [
    ['check', 'config', 'prometheus/prometheus.yml'],
    ['check', 'rules', '--lint=all', '--lint-fatal', 'prometheus/keyward.rules.yml'],
    ['test', 'rules', 'prometheus/keyward.rules.test.yml'],
  ]) {
    const { code, text } = promtool([...args.slice(0, -1), join(folder, args.at(-1) ?? '')])
    assert.equal(code, 0, text)
  }
})

test('OBS-1: every query of the dashboards is one that Prometheus can read, and no two panels overlap', (t) => {
  assert.ok(queries.length > 40)
  for (const { title, panels } of dashboards) {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    assert.equal(new Set(cells).size, cells.length, title)
  }
  const promtool = monitoringToolOrSkip(t, 'promtool')
  if (!promtool) return
  const asRules = queries.map(({ expr }, i) => ({ record: `q${i}`, expr }))
  const file = scratchFile(t, 'q.yml', JSON.stringify({ groups: [{ name: 'q', rules: asRules }] }))
  const { code, text } = promtool(['check', 'rules', file])
  assert.equal(code, 0, text)
  const broken = scratchFile(t, 'b.yml', '{"groups":[{"name":"b","rules":[{"record":"b","expr":"sum("}]}]}')
  assert.notEqual(promtool(['check', 'rules', broken]).code, 0)
})

test('OBS-2: what is of high severity goes to PagerDuty and Slack, what is of low to Slack', (t) => {
  assert.deepEqual(new Set(rules.map(({ labels }) => labels.severity)), new Set(['high', 'low']))
  const amtool = monitoringToolOrSkip(t, 'amtool')
  if (!amtool) return
  const file = join(folder, 'alertmanager/alertmanager.yml')
  assert.equal(amtool(['check-config', file]).code, 0)
  const receivers = { high: 'pagerduty-and-slack', low: 'slack' }
  for (const [severity, receiver] of Object.entries(receivers)) {
    const one = rules.find(({ labels }) => labels.severity === severity)?.alert
    const args = ['config', 'routes', 'test', `--config.file=${file}`, `--verify.receivers=${receiver}`]
    const { code, text } = amtool([...args, `severity=${severity}`, `alertname=${one}`])
    assert.equal(code, 0, text)
  }
})

test('OBS-2: the secrets of Alertmanager lie in files, none in its configuration', () => {
  const text = read('alertmanager/alertmanager.yml')
  const { receivers } = parse(text) as { receivers: Record<string, unknown>[] }
  const kinds = new Map(receivers.map(({ name, ...rest }) => [name, Object.keys(rest).sort()]))
  assert.deepEqual(kinds.get('pagerduty-and-slack'), ['pagerduty_configs', 'slack_configs'])
  assert.deepEqual(kinds.get('slack'), ['slack_configs'])
  assert.match(text, /slack_api_url_file: /)
  assert.match(text, /routing_key_file: /)
  assert.doesNotMatch(text, /(?:routing_key|service_key|api_url): |hooks\.slack\.com/)
})

test('OBS-1: Grafana finds the dashboards and what they read from', () => {
  assert.deepEqual(
    dashboards.map(({ uid }) => uid),
    ['keyward-runs', 'keyward-secrets', 'keyward-server'],
  )
  const { datasources } = parse(read('grafana/provisioning/datasources/keyward.yml')) as {
    datasources: { type: string }[]
  }
  assert.deepEqual(
    datasources.map(({ type }) => type),
    ['prometheus', 'loki', 'tempo'],
  )
})
