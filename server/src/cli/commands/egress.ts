import {
  api,
  type Destination,
  type EgressExplanation,
  type GrantView,
  type InputOf,
  injectionText,
} from '@keyward/contract'
import type { Command } from 'commander'
import { agentIdOf } from '../agent-id.ts'
import { type CommonOptions, commandGroup, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { addPlace, injectionFrom, placeText } from '../destinations.ts'
import { exitNegative } from '../exit-code.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { type Column, renderTable } from '../table.ts'
import { logCommand, reachCommand } from './egress-seen.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
type Injection = InputOf<typeof api.grants.create>['injection']

export const egressCommand = (needs: Needs): Command =>
  commandGroup('egress', 'What agents may borrow and where it may go', [
    explainCommand(needs),
    reachCommand(needs),
    logCommand(needs),
    grantCommand(needs),
    listCommand(needs),
    endCommand(needs),
  ])

function explainCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'explain <url>',
    summary: 'Which rule lets a request of an agent out, or what is missing',
    details:
      'Nothing is sent and no name is looked up. A task must also list the destination: the list of a task is what its agent was given leases for.',
    examples: [
      'keyward egress explain https://api.stripe.com/v1/charges --agent shop-bot --method POST',
      'keyward egress explain https://api.stripe.com/ --agent agt_01 --json',
    ],
  })
    .requiredOption('--agent <agent>', 'whose request, by name or id')
    .option('--method <method>', 'its method', (text: string) => text.toUpperCase(), 'GET')
    .action(
      async (
        url: string,
        { agent, method, ...options }: CommonOptions & { agent: string; method: string },
      ) => {
        const client = await connect(needs, options)
        const agentId = await agentIdOf(client, agent)
        const explanation = await client.call(api.egress.explain, { agentId, url, method })
        if (options.json) terminal.json(explanation)
        else terminal.write(explained(needs, explanation))
        if (!explanation.allowed) needs.answer(exitNegative)
      },
    )
}

function explained(
  { terminal }: Needs,
  { allowed, checks, candidates, ...request }: EgressExplanation,
): string {
  const { host, port, method, path } = request
  const verdict = allowed ? terminal.tint('green', 'Allowed') : terminal.tint('red', 'Refused')
  const place = `${host}${port === 443 ? '' : `:${port}`}${path}`
  const mark = (holds: boolean): string => (holds ? terminal.tint('green', '✓') : terminal.tint('red', '✗'))
  const lines = checks.map(({ what, holds, text }) => `${mark(holds)} ${what}: ${printable(text)}\n`)
  const columns: Column<EgressExplanation['candidates'][number]>[] = [
    { title: 'what', value: ({ kind }) => kind },
    { title: 'id', value: ({ id }) => id },
    { title: 'secret', value: ({ secretPath }) => secretPath, shrink: true },
    { title: 'allows', value: ({ text }) => text, shrink: true },
  ]
  const table = candidates.length === 0 ? '' : `\n${renderTable(columns, candidates, terminal.columns)}`
  return `${verdict}: ${method} ${printable(place)}\n${lines.join('')}${table}`
}

type GrantOptions = CommonOptions & {
  readonly agent: string
  readonly to: readonly Destination[]
  readonly as?: Injection
  readonly field: string
  readonly like?: string
  readonly ttl: number
  readonly for: number
  readonly uses?: number
  readonly perMinute?: number
  readonly bytes?: number
  readonly leases?: number
  readonly delegable?: boolean
  readonly reason: string
}

const looking = (as: Injection, like: string): Injection =>
  ({ ...(as ?? { kind: 'anywhere' }), like }) as Injection

function grantCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'grant <secretPath>',
    summary: 'Let an agent borrow a secret',
    details:
      'Nothing is lent yet: the agent asks for leases, each of which keeps within the grant. --as takes bearer, basic:password, ' +
      'header:X-Api-Key, query:key, cookie:session, body:/auth/key, client-certificate, postgres:shop, redis, "ssh:git ssh-ed25519 AAAA…", or an injection as JSON.',
    examples: [
      'keyward egress grant database/creds/reader --field password --agent shop-bot --to db.example.com:5432 --as postgres:shop --reason "Reports"',
      'keyward egress grant secret/shop/stripe --agent shop-bot --to "POST api.stripe.com/v1/*/refunds" --as bearer --reason "Refunds"',
      'keyward egress grant secret/shop/stripe --agent shop-bot --to api.stripe.com --per-minute 10 --for 3600 --reason "A trial"',
    ],
  })
    .requiredOption('--agent <agent>', 'who may borrow it, by name or id')
    .requiredOption('--to <place>', '[METHOD,…] host[:port][/path]; can be repeated', addPlace)
    .requiredOption('--reason <text>', 'why; recorded')
    .option('--as <injection>', 'the one place of a request where it may stand', injectionFrom)
    .option('--like <kind>', 'placeholders look like this kind of key, such as github-personal-access-token')
    .option('--field <name>', 'field of the secret', 'value')
    .option('--ttl <seconds>', 'the longest life of a lease', wholeNumber(1, 3600), 300)
    .option('--for <seconds>', 'how long the grant lives', wholeNumber(60, 31_622_400), 86_400)
    .option('--leases <n>', 'so many leases', wholeNumber(1, 1_000_000))
    .option('--delegable', 'the agent may pass parts of its leases on to other agents of its owner')
    .option('--uses <n>', 'uses of each lease', wholeNumber(1, 1_000_000))
    .option('--per-minute <n>', 'uses of each lease in a minute', wholeNumber(1, 100_000))
    .option(
      '--bytes <n>',
      'bytes of requests and answers of each lease',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .action(async (secretPath: string, options: GrantOptions) => {
      const client = await connect(needs, options)
      const { to, as, like, field, ttl, leases, uses, perMinute, bytes, reason } = options
      const grant = await client.call(api.grants.create, {
        agentId: await agentIdOf(client, options.agent),
        secretPath,
        field,
        destinations: [...to],
        injection: like === undefined ? as : looking(as, like),
        budget: { uses, usesPerMinute: perMinute, bytes },
        maxTtlSeconds: ttl,
        maxLeases: leases,
        delegable: options.delegable ?? false,
        expiresInSeconds: options.for,
        reason,
      })
      if (options.json) return terminal.json(grant)
      terminal.note(`Granted until ${grant.expiresAt}, ${injectionText(grant.injection)}: ${grant.id}`)
    })
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<GrantView>[] = [
    { title: 'id', value: ({ id }) => id },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => terminal.tint(state === 'live' ? 'green' : 'dim', text),
    },
    { title: 'agent', value: ({ agentId }) => agentId },
    { title: 'secret', value: ({ secretPath, field }) => `${secretPath}#${field ?? '*'}`, shrink: true },
    { title: 'for', value: ({ destinations }) => destinations.map(placeText).join(' '), shrink: true },
    { title: 'lent', value: ({ injection }) => injectionText(injection), shrink: true },
    { title: 'until', value: ({ endedAt, expiresAt }) => shortTime(endedAt ?? expiresAt) },
    { title: 'reason', value: ({ reason }) => reason, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'grants',
      summary: 'What agents may borrow, newest first',
      examples: ['keyward egress grants', 'keyward egress grants --agent shop-bot'],
    }),
  )
    .option('--agent <agent>', 'of this agent only, by name or id')
    .action(async ({ agent, ...options }: ListOptions & { agent?: string }) => {
      const client = await connect(needs, options)
      const agentId = agent === undefined ? undefined : await agentIdOf(client, agent)
      await showList(terminal, options, columns, (paging) =>
        client.call(api.grants.list, { ...paging, agentId }),
      )
    })
}

function endCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'end <grantId>',
    summary: 'End a grant now; its leases go on until they are revoked or over',
    examples: ['keyward egress end grt_01 --reason "The trial is over"'],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (grantId: string, options: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      const grant = await client.call(api.grants.end, { grantId, reason: options.reason })
      if (options.json) return terminal.json(grant)
      terminal.note(`The grant ${grant.id} on ${grant.secretPath} is ${grant.state}.`)
    })
}
