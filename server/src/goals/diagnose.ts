import type { AuditEntry, Json } from '@keyward/contract'
import { z } from 'zod'
import type { Audit } from '../audit/index.ts'
import type { Flow } from '../catalogue/index.ts'
import { AppError, type Clock, type Principal } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Action, PlannedTask, Workflow } from '../workflow/index.ts'

const diagnoseInput = z.strictObject({
  /** A name as it stands in runs, connections, agents and paths. */
  service: z.string().trim().min(2).max(100),
  hours: z.number().min(1).max(720).default(24),
})
const gatherArgs = diagnoseInput.required()

/** What the report is made of: where it stands, when it was, and what it says. */
const evidence = z.strictObject({
  at: z.string(),
  what: z.string(),
  /** A page of the console. */
  link: z.string(),
  isTrouble: z.boolean(),
})
type Evidence = z.output<typeof evidence>
const gathered = z.strictObject({ items: z.array(evidence), looked: z.string() })
const gatheredParts = z.strictObject({
  runs: gathered,
  changes: gathered,
  refusals: gathered,
  health: gathered,
})

/** How the parts of Keyward and the connected services are. */
export type Parts = () => Promise<readonly { name: string; state: string; detail: string }[]>

type Needs = {
  audit: Pick<Audit, 'page'>
  runs: Workflow['page']
  policy: Pick<Policy, 'decide'>
  clock: Pick<Clock, 'now'>
  parts: Parts
}

/** Everything that it looks at, a person could look at: it changes nothing, and asks nobody. */
export function diagnoseFlow({ policy }: Pick<Needs, 'policy'>): Flow {
  return {
    name: 'diagnose',
    title: 'Gather evidence about a service, and report',
    goals: [
      '(diagnose|investigate|examine) [the] [production] [service|issue] [of|with|in] {service}',
      '(what is wrong with|why does) [the] [service] {service} [fail]',
    ],
    input: diagnoseInput,
    async plan(rawInput, by) {
      assertMayLook(policy, by)
      const input = diagnoseInput.parse(rawInput)
      const args = input as { [name: string]: Json }
      const gathers = sources.map(([id, title]) => gatherTask(id, title, args))
      return {
        flow: 'diagnose',
        title: `Diagnose ${input.service}`,
        input: rawInput,
        tasks: [...gathers, reportTask(args)],
      }
    },
  }
}

const sources = [
  ['runs', 'Runs that have to do with it'],
  ['changes', 'What was changed'],
  ['refusals', 'What was refused or failed'],
  ['health', 'How services and parts of Keyward are'],
] as const

/** The report shows what these would; whoever may not ask for them does not get them this way. */
function assertMayLook(policy: Pick<Policy, 'decide'>, principal: Principal): void {
  const looks = [
    { action: 'runs.list', type: 'Run' },
    { action: 'audit.list', type: 'AuditLog' },
    { action: 'system.status', type: 'Server' },
  ] as const
  for (const { action, type } of looks) {
    const { allow, reason } = policy.decide({ principal, action, resource: { type, id: '*' } })
    if (!allow) throw new AppError('policy.denied', reason)
  }
}

const gatherTask = (id: string, title: string, args: { [name: string]: Json }): PlannedTask => ({
  id,
  title,
  action: `diagnose.${id}`,
  args,
  needs: [],
  risk: 'low',
  reversible: true,
  secrets: [],
  retry: { maxAttempts: 3, backoffSeconds: 1 },
  timeoutSeconds: 60,
})

const reportTask = (args: { [name: string]: Json }): PlannedTask => ({
  id: 'report',
  title: 'Report',
  action: 'diagnose.report',
  args,
  needs: sources.map(([id]) => id),
  risk: 'low',
  reversible: true,
  secrets: [],
})

const mostItems = 50
const changed = [
  'policy.written',
  'policy.deleted',
  'secret.written',
  'secret.deleted',
  'key.created',
  'key.changed',
  'key.rotated',
  'key.deleted',
  'password.rotated',
  'flow.saved',
  'flow.removed',
  'agent.registered',
  'agent.quarantined',
  'agent.activated',
  'agent.promoted',
  'agent.demoted',
  'file.rewritten',
  'vault.sealed',
  'vault.unsealed',
  'server.started',
  'run.started',
]

export function diagnoseActions(needs: Needs): Action[] {
  const read = (
    name: string,
    gather: (args: z.output<typeof gatherArgs>) => Promise<z.output<typeof gathered>>,
  ): Action => ({
    name,
    idempotent: true,
    effect: 'read',
    execute: async ({ args }) => ({ output: plain(await gather(gatherArgs.parse(args))) }),
  })
  return [
    read('diagnose.runs', (args) => runsOf(needs, args)),
    read('diagnose.changes', (args) => entriesOf(needs, args, { type: changed }, false)),
    read('diagnose.refusals', async (args) => {
      const denied = await entriesOf(needs, args, { outcome: 'denied' }, true)
      const failed = await entriesOf(needs, args, { outcome: 'failed' }, true)
      return { items: [...denied.items, ...failed.items].slice(0, mostItems), looked: denied.looked }
    }),
    read('diagnose.health', async ({ service }) => {
      const at = needs.clock.now().toISOString()
      const all = await needs.parts()
      const items = all
        .filter(({ name, state }) => state !== 'up' || mentions(name, service))
        .map(({ name, state, detail }) => ({
          at,
          what: `${name} is ${state}${detail ? `: ${detail}` : ''}`,
          link: '/connections',
          isTrouble: state !== 'up',
        }))
      return { items, looked: `${all.length} services and parts` }
    }),
    {
      name: 'diagnose.report',
      idempotent: true,
      effect: 'read',
      execute: async ({ args, outputs }) => {
        const parts = gatheredParts.parse(outputs)
        return { output: plain(reportOf(gatherArgs.parse(args), parts, needs.clock.now())) }
      },
    },
  ]
}

const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json
const mentions = (text: string, service: string): boolean =>
  text.toLowerCase().includes(service.toLowerCase())

type Args = z.output<typeof gatherArgs>

async function runsOf({ runs, clock }: Needs, { service, hours }: Args): Promise<z.output<typeof gathered>> {
  const begin = clock.now().getTime() - hours * 3600_000
  const items: Evidence[] = []
  let looked = 0
  let cursor: string | undefined
  do {
    const page = await runs({ cursor, limit: 200 })
    const recent = page.items.filter(({ createdAt }) => Date.parse(createdAt) >= begin)
    looked += recent.length
    for (const { id, title, flow, state, reason, createdAt } of recent)
      if (mentions(`${title} ${flow} ${reason ?? ''}`, service))
        items.push({
          at: createdAt,
          what: `run ${title} is ${state}${reason ? `: ${reason}` : ''}`,
          link: `/runs/${id}`,
          isTrouble: state === 'Failed',
        })
    cursor = recent.length === page.items.length ? (page.next ?? undefined) : undefined
  } while (cursor !== undefined && items.length < mostItems && looked < 5000)
  return { items: items.slice(0, mostItems), looked: `${looked} runs` }
}

async function entriesOf(
  { audit, clock }: Needs,
  { service, hours }: Args,
  filter: { type?: string[]; outcome?: string },
  isTrouble: boolean,
): Promise<z.output<typeof gathered>> {
  const begin = clock.now().getTime() - hours * 3600_000
  const items: Evidence[] = []
  let looked = 0
  let cursor: string | undefined
  do {
    const page = await audit.page({ ...filter, order: 'desc', limit: 500, cursor })
    const recent = page.items.filter(({ at }) => Date.parse(at) >= begin)
    looked += recent.length
    for (const entry of recent) if (mentions(wordsOf(entry), service)) items.push(itemOf(entry, isTrouble))
    cursor = recent.length === page.items.length ? (page.next ?? undefined) : undefined
  } while (cursor !== undefined && items.length < mostItems && looked < 20_000)
  return { items: items.slice(0, mostItems), looked: `${looked} entries of the audit log` }
}

const wordsOf = ({ target, detail }: AuditEntry): string => `${target} ${JSON.stringify(detail)}`

function itemOf(
  { at, type, actor, target, outcome, correlation, detail }: AuditEntry,
  isTrouble: boolean,
): Evidence {
  const { reason } = Object(detail) as { reason?: unknown }
  const words = typeof reason === 'string' && reason !== '' ? `: ${reason.slice(0, 200)}` : ''
  const link = correlation.startsWith('run_') ? `/runs/${correlation}` : `/audit?type=${type}`
  return { at, what: `${type} (${outcome}) by ${actor} on ${target}${words}`, link, isTrouble }
}

/** A document that says what was seen, newest first, and does not pretend to know why. */
function reportOf({ service, hours }: Args, parts: z.output<typeof gatheredParts>, now: Date) {
  const all = sources.flatMap(([id]) => parts[id].items)
  const trouble = all.filter(({ isTrouble }) => isTrouble)
  const summary =
    trouble.length === 0
      ? `Nothing that has to do with ${service} failed or was refused in the last ${hours} hours.`
      : `${trouble.length} things that have to do with ${service} failed or were refused in the last ${hours} hours.`
  const sections = sources.map(([id, title]) => {
    const lines = newestFirst(parts[id].items).map(
      ({ at, what, link }) => `- ${at} [${escaped(what)}](${link})`,
    )
    return `## ${title}\n\n${lines.join('\n') || 'Nothing.'}\n\nLooked at: ${parts[id].looked}.`
  })
  const markdown = [`# ${escaped(service)}, ${now.toISOString()}`, summary, ...sections].join('\n\n')
  return { service, hours, summary, troubles: newestFirst(trouble), markdown }
}

const newestFirst = (items: readonly Evidence[]): Evidence[] =>
  [...items].sort((a, b) => b.at.localeCompare(a.at))
/** What others wrote is text here, not links or pictures. */
const escaped = (text: string): string =>
  text.replace(/[[\]<>`*_\\]/g, (mark) => `\\${mark}`).replaceAll('\n', ' ')
