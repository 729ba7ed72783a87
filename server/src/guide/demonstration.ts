import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { FindingView, RunDetail } from '@keyward/contract'
import { parseReference, systemPrincipal } from '../core/index.ts'
import type { AgentTask } from '../flows/index.ts'
import { createAuthority } from '../proxy/index.ts'
import type { GuideNeeds } from './guide.ts'
import { copyTask, exampleFolder } from './project.ts'
import type { Step } from './report.ts'

type PaymentsApi = { readonly address: string; readonly seen: readonly string[]; close(): Promise<void> }

/** An example API on loopback and an agent that calls it with one of the stored secrets, which it never sees. */
export type Demonstration = {
  readonly task: AgentTask
  /** What the run and the API show, for the report. */
  steps(run: RunDetail): Promise<Step[]>
  end(): Promise<void>
}

const agentName = 'first-run'

export async function createDemonstration(
  needs: GuideNeeds,
  dataDir: string,
  finding: FindingView,
  reference: string,
): Promise<Demonstration> {
  const { startPaymentsApi, host } = (await import(join(exampleFolder('payments-api'), 'server.mjs'))) as {
    host: string
    startPaymentsApi(tls: { certificatePem: string; keyPem: string }): Promise<PaymentsApi>
  }
  const authority = createAuthority({ now: () => new Date(), name: 'Keyward example' })
  const upstream = await startPaymentsApi(authority.leafFor(host))
  const { mount, path, field } = parseReference(reference)
  const secretPath = `${mount}/${path}`
  return {
    task: {
      agentId: await agentFor(needs),
      title: `An agent uses ${finding.title} without seeing it`,
      secretPath,
      field,
      variable: 'PAYMENTS_API_KEY',
      command: ['node', '/workspace/settle.mjs'],
      workspace: await copyTask(dataDir),
      environment: { PAYMENTS_API_URL: `https://${host}`, FORBIDDEN_FOLDER: dataDir },
      destinations: [{ host, port: 443, methods: ['GET'], pathPrefix: '/v1/' }],
      route: { address: upstream.address, caPem: authority.certificatePem },
    },
    async steps(run) {
      const value = (await needs.vault.kv.read(secretPath))?.data[field]
      const expected = value && createHash('sha256').update(value.reveal()).digest('hex')
      const refused = await needs.audit.page({
        type: 'egress.denied',
        correlation: run.id,
        limit: 1,
        order: 'desc',
      })
      return stepsOf(run, {
        apiSawKey: expected !== undefined && upstream.seen.includes(expected),
        refusalRecorded: refused.items.length > 0,
      })
    },
    end: () => upstream.close(),
  }
}

async function agentFor({ store, identity }: GuideNeeds): Promise<string> {
  const known = (await identity.agents({ limit: 500 })).items.find((agent) => agent.name === agentName)
  if (known) return known.id
  const owner = systemPrincipal('start')
  // The key is dropped: this agent only ever works in runs that Keyward starts.
  const { agent } = await store.write((tx) =>
    identity.registerAgent(tx, { name: agentName, description: 'The agent of the guided first run', owner }),
  )
  return agent.id
}

type Witnessed = { readonly apiSawKey: boolean; readonly refusalRecorded: boolean }

function stepsOf(run: RunDetail, { apiSawKey, refusalRecorded }: Witnessed): Step[] {
  const task = run.tasks.find((candidate) => candidate.id === 'agent')
  if (!task || task.state === 'Skipped' || task.state === 'Cancelled')
    return [{ step: 'agent', state: 'refused', detail: task?.reason ?? 'the agent did not run' }]
  if (task.state !== 'Succeeded') {
    const refused = /isolate|sandbox/i.test(task.reason ?? '')
    return [
      { step: 'sandbox', state: refused ? 'refused' : 'failed', detail: task.reason ?? 'the agent failed' },
    ]
  }
  return [
    {
      step: 'api',
      state: apiSawKey ? 'ok' : 'failed',
      detail: apiSawKey ? 'the API was given the real key' : 'the API did not see the real key',
    },
    ...agentSteps(task.output).map((step) =>
      step.step === 'other-host' && !refusalRecorded
        ? { ...step, state: 'failed' as const, detail: 'the audit log shows no refused destination' }
        : step,
    ),
  ]
}

/** The agent's own words, one JSON line for each step; they count only together with what the API and audit saw. */
function agentSteps(output: RunDetail['tasks'][number]['output']): Step[] {
  const text =
    output !== null && typeof output === 'object' && !Array.isArray(output)
      ? String(output['output'] ?? '')
      : ''
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      const { step, ok, detail } = JSON.parse(line) as { step: string; ok: boolean; detail: string }
      return { step, state: ok ? ('ok' as const) : ('failed' as const), detail }
    })
}
