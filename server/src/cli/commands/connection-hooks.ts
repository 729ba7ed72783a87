import { api, type HookDelivery, type HookView } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { connectionNamed } from '../connection-named.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const connectionHooksCommand = (needs: Needs): Command =>
  commandGroup('hook', 'Where a service tells of events: issue, show, list, remove', [
    issueCommand(needs),
    showCommand(needs),
    listCommand(needs),
    removeCommand(needs),
  ])

function issueCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'issue <name>',
    summary: 'Listen to a connection: its address, and a new secret, which is shown once',
    details:
      'Enter both in the settings of the GitHub App, with application/json. A secret that was issued before ends.',
    examples: ['keyward connections hook issue code'],
  }).action(async (name: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id: connectionId } = await connectionNamed(client, name)
    const issued = await client.call(api.hooks.issue, { connectionId })
    if (options.json) return terminal.json(issued)
    terminal.write(`${hookText(issued.hook)}${renderFacts([['Secret', issued.secret]])}`)
    terminal.note('The secret is not shown again.')
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <name>',
    summary: 'What came last, and what it led to',
    examples: ['keyward connections hook show code'],
  }).action(async (name: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id: connectionId } = await connectionNamed(client, name)
    const hook = await client.call(api.hooks.read, { connectionId })
    if (options.json) return terminal.json(hook)
    terminal.write(hookText(hook))
    if (hook.deliveries.length > 0)
      terminal.write(`\n${renderTable(deliveryColumns, hook.deliveries, terminal.columns)}`)
  })
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'list',
    summary: 'Connections that are listened to',
    examples: ['keyward connections hook list'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.hooks.list, {})
    if (options.json) return terminal.json({ items })
    if (items.length === 0) return terminal.note('None. See: keyward connections hook issue --help')
    terminal.write(renderTable(hookColumns, items, terminal.columns))
  })
}

function removeCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'remove <name>',
    summary: 'Listen no more; the secret of the webhook ends',
    examples: ['keyward connections hook remove code'],
  }).action(async (name: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id: connectionId } = await connectionNamed(client, name)
    const done = await client.call(api.hooks.remove, { connectionId })
    if (options.json) return needs.terminal.json(done)
    needs.terminal.note(`Nobody listens to ${name} any more.`)
  })
}

const hookColumns: Column<HookView>[] = [
  { title: 'connection', value: ({ connection }) => connection },
  { title: 'address', value: ({ address }) => address, shrink: true },
  { title: 'started', value: ({ received }) => String(received.starts), align: 'right' },
  { title: 'woke', value: ({ received }) => String(received.wakes), align: 'right' },
  { title: 'not used', value: ({ received }) => String(received.unused), align: 'right' },
  { title: 'last', value: ({ last }) => shortTime(last?.at ?? null) },
]

const deliveryColumns: Column<HookDelivery>[] = [
  { title: 'time', value: ({ at }) => shortTime(at) },
  { title: 'event', value: ({ event, action }) => (action === null ? event : `${event} ${action}`) },
  { title: 'repository', value: ({ repository }) => repository, shrink: true },
  { title: 'use', value: ({ use }) => use },
  { title: 'detail', value: ({ detail }) => detail, shrink: true },
]

const hookText = ({ connection, address, issuedBy, issuedAt, received, last }: HookView): string =>
  renderFacts([
    ['Connection', connection],
    ['Address', `${address}, below the address of the server`],
    ['Secret of', `${shortTime(issuedAt)}, for ${issuedBy}`],
    ['Started, woke, not used', `${received.starts}, ${received.wakes}, ${received.unused}`],
    ['Last', last ? `${shortTime(last.at)}: ${last.event}, ${last.use}` : 'nothing yet'],
  ])
