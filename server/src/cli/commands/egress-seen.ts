import { api, type EgressRequest, injectionText, openText, type WayOut } from '@keyward/contract'
import type { Command } from 'commander'
import { Option } from 'commander'
import { agentIdOf } from '../agent-id.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { placeText } from '../destinations.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { type Column, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type Filter = { agent?: string; host?: string; outcome?: EgressRequest['outcome']; run?: string }

export function logCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<EgressRequest>[] = [
    { title: 'at', value: ({ at }) => shortTime(at) },
    { title: 'agent', value: ({ agentId }) => agentId },
    {
      title: 'outcome',
      value: ({ outcome }) => outcome,
      paint: (text, { outcome }) => terminal.tint(outcome === 'allowed' ? 'green' : 'red', text),
    },
    { title: 'status', value: ({ status }) => status, align: 'right' },
    {
      title: 'request',
      value: (one) => printable(`${one.method} ${placeText(one)}${one.path}`),
      shrink: true,
    },
    { title: 'bytes', value: ({ bytesIn, bytesOut }) => bytesIn + bytesOut, align: 'right' },
    { title: 'leases', value: ({ leaseIds }) => leaseIds.join(' '), shrink: true },
    {
      title: 'why',
      value: ({ reason, policies }) => printable(reason ?? policies.join(', ')),
      shrink: true,
    },
  ]
  return withListOptions(
    serverCommand({
      usage: 'log',
      summary: 'Requests of sandboxes and refused attempts, newest first, each with the decision',
      examples: ['keyward egress log --agent shop-bot', 'keyward egress log --outcome misused --json'],
    }),
  )
    .option('--agent <agent>', 'of this agent only, by name or id')
    .option('--host <name>', 'to this host only')
    .addOption(
      new Option('--outcome <what>', 'with this outcome only').choices([
        'allowed',
        'denied',
        'misused',
        'failed',
      ]),
    )
    .option('--run <id>', 'of this run only')
    .action(async ({ agent, host, outcome, run, ...options }: ListOptions & Filter) => {
      const client = await connect(needs, options)
      const agentId = agent === undefined ? undefined : await agentIdOf(client, agent)
      await showList(terminal, options, columns, (paging) =>
        client.call(api.egress.requests, { ...paging, agentId, host, outcome, runId: run }),
      )
    })
}

export function reachCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<WayOut>[] = [
    {
      title: 'now',
      value: ({ open }) => (open ? 'yes' : 'no'),
      paint: (text, { open }) => terminal.tint(open ? 'green' : 'red', text),
    },
    { title: 'by', value: ({ kind, id }) => `${kind} ${id}` },
    { title: 'secret', value: ({ secretPath, field }) => `${secretPath}#${field ?? '*'}`, shrink: true },
    { title: 'to', value: ({ destination }) => placeText(destination), shrink: true },
    { title: 'lent', value: ({ injection }) => injectionText(injection), shrink: true },
    { title: 'until', value: ({ until }) => shortTime(until) },
    { title: 'why', value: ({ reason }) => printable(reason), shrink: true },
  ]
  return serverCommand({
    usage: 'reach <agent>',
    summary: 'Where an agent could send which secrets',
    details:
      'Each live lease and grant, judged by the rules that a request would meet. Nothing is sent or counted.',
    examples: ['keyward egress reach shop-bot'],
  }).action(async (agent: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const reach = await client.call(api.egress.reach, { agentId: await agentIdOf(client, agent) })
    const open = openText(reach.open)
    if (options.json) return terminal.json(reach)
    if (open !== '') terminal.note(`Open now: ${open}.`)
    if (reach.ways.length === 0) terminal.note(`${reach.agentName} has no lease and no grant.`)
    else terminal.write(renderTable(columns, reach.ways, terminal.columns))
  })
}
