import { api, type Destination, injectionText, type LeaseView, type Receipt } from '@keyward/contract'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type CommonOptions, commandGroup, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Column } from '../table.ts'
import { askCommands } from './asks.ts'
import { delegateCommand } from './delegate.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type LeaseState = LeaseView['state']
const states: readonly LeaseState[] = ['active', 'revoked', 'expired', 'used_up']

export const leasesCommand = (needs: Needs): Command =>
  commandGroup('leases', 'Secrets that are lent to agents', [
    listCommand(needs),
    requestCommand(needs),
    revokeCommand(needs),
    delegateCommand(needs),
    ...askCommands(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<LeaseView>[] = [
    { title: 'id', value: ({ id }) => id },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => terminal.tint(state === 'active' ? 'green' : 'dim', text),
    },
    { title: 'agent', value: ({ agentName }) => agentName, shrink: true },
    { title: 'part of', value: ({ parentId }) => parentId },
    { title: 'secret', value: ({ secretPath, field }) => `${secretPath}#${field}`, shrink: true },
    { title: 'for', value: ({ destinations }) => destinations.map(hostOf).join(' '), shrink: true },
    { title: 'lent', value: ({ injection }) => injectionText(injection), shrink: true },
    {
      title: 'uses',
      value: ({ uses, usesLeft }) => (usesLeft === null ? uses : `${uses}/${uses + usesLeft}`),
    },
    { title: 'end', value: ({ receipt }) => receipt && receiptText[receipt.state] },
    { title: 'until', value: ({ endedAt, expiresAt }) => shortTime(endedAt ?? expiresAt) },
    { title: 'purpose', value: ({ purpose }) => purpose, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Leases, newest first',
      examples: ['keyward leases list', 'keyward leases list --state active --agent agt_01'],
    }),
  )
    .option('--agent <agentId>', 'of this agent only')
    .addOption(new Option('--state <state>', 'in this state only').choices(states))
    .action(async (options: ListOptions & { agent?: string; state?: LeaseState }) => {
      const client = await connect(needs, options)
      const { agent: agentId, state } = options
      await showList(terminal, options, columns, (paging) =>
        client.call(api.leases.list, { ...paging, agentId, state }),
      )
    })
}

const receiptText: Record<Receipt['state'], string> = {
  waiting: 'not shown yet',
  proved: 'proved',
  lives_on: 'lives on upstream',
  unproved: 'NOT PROVED',
}

const hostOf = ({ host, port }: Destination): string => (port === 443 ? host : `${host}:${port}`)

type RequestOptions = CommonOptions & {
  readonly field: string
  readonly purpose: string
  readonly to: readonly { host: string; port: number }[]
  readonly ttl: number
  readonly uses?: number
}

function requestCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'request <secretPath>',
    summary: 'As an agent, ask for a secret; a placeholder comes back, never the value',
    details: "Signed in with the agent's API key in KEYWARD_TOKEN.",
    examples: ['keyward leases request secret/shop/stripe --to api.stripe.com --purpose "Restock order 17"'],
  })
    .requiredOption('--purpose <text>', 'what it is for; recorded')
    .requiredOption('--to <host[:port]>', 'where it may go; can be repeated', addDestination)
    .option('--field <name>', 'field of the secret', 'value')
    .option('--ttl <seconds>', 'how long', wholeNumber(1, 3600), 300)
    .option('--uses <n>', 'how often', wholeNumber(1, 10_000))
    .action(async (secretPath: string, { field, purpose, to, ttl, uses, ...options }: RequestOptions) => {
      const client = await connect(needs, options)
      const answer = await client.call(api.leases.request, {
        secretPath,
        field,
        purpose,
        destinations: [...to],
        ttlSeconds: ttl,
        uses,
      })
      if (options.json) return terminal.json(answer)
      terminal.note(
        `Lease ${answer.lease.id} until ${answer.lease.expiresAt}. Send this instead of the value:`,
      )
      terminal.write(`${answer.placeholder}\n`)
    })
}

function addDestination(text: string, earlier: RequestOptions['to'] = []): RequestOptions['to'] {
  const [, host, port = '443'] = /^([^:/\s]+)(?::(\d{1,5}))?$/.exec(text) ?? []
  if (host === undefined) throw new InvalidArgumentError('Write host or host:port.')
  return [...earlier, { host, port: Number(port) }]
}

function revokeCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'revoke <leaseId>',
    summary: 'End a lease now',
    examples: ['keyward leases revoke lea_01 --reason "The task is over"'],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (leaseId: string, options: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      const lease = await client.call(api.leases.revoke, { leaseId, reason: options.reason })
      if (options.json) return terminal.json(lease)
      terminal.note(`Lease ${lease.id} of ${lease.agentName} on ${lease.secretPath} is ${lease.state}.`)
    })
}
