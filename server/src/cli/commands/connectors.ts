import { api, type ConnectorView } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type ActionView = ConnectorView['actions'][number]

export const connectorsCommand = (needs: Needs): Command =>
  commandGroup('connectors', 'Kinds of services that runs can work with', [
    listCommand(needs),
    showCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ConnectorView>[] = [
    { title: 'name', value: ({ name }) => name },
    { title: 'service', value: ({ title }) => title },
    { title: 'actions', value: ({ actions }) => actions.length, align: 'right' },
    { title: 'fields of its secret', value: ({ secretFields }) => fieldsOf(secretFields), shrink: true },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Kinds of services, and what their secrets must have',
    examples: ['keyward connectors list', "keyward connectors list --json | jq '.items[].actions[].name'"],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.connectors.list, {})
    if (options.json) return terminal.json({ items })
    terminal.write(renderTable(columns, items, terminal.columns))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ActionView>[] = [
    { title: 'action', value: ({ name }) => name },
    { title: 'risk', value: ({ risk }) => risk },
    { title: 'can be undone', value: ({ reversible }) => (reversible ? 'yes' : 'no') },
    { title: 'repeatable', value: repeatable },
    { title: 'permissions', value: ({ permissions }) => permissions.join(', '), shrink: true },
    { title: 'what', value: ({ title }) => title, shrink: true },
  ]
  return serverCommand({
    usage: 'show <connector>',
    summary: 'What a kind of service needs, and what runs can do there',
    examples: ['keyward connectors show github'],
  }).action(async (name: string, options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.connectors.list, {})
    const found = items.find((item) => item.name === name)
    if (!found) throw new AppError('connector.not_found', `there is no connector '${name}'`)
    if (options.json) return terminal.json(found)
    terminal.write(
      renderFacts([
        ['Connector', `${found.name}: ${found.title}`],
        ['Documentation', found.docs],
        ['Settings', settingsOf(found)],
        ['Secret', fieldsOf(found.secretFields) || 'none'],
      ]),
    )
    terminal.write(`\n${renderTable(columns, found.actions, terminal.columns)}`)
  })
}

const repeatable = ({ idempotent, reconciles }: ActionView): string =>
  idempotent ? 'yes' : reconciles ? 'it is found out' : 'no'

const fieldsOf = (fields: ConnectorView['secretFields']): string =>
  fields.map(({ name, optional }) => (optional ? `${name} (if wanted)` : name)).join(', ')

function settingsOf({ settings }: ConnectorView): string {
  const schema = typeof settings === 'object' && settings !== null && !Array.isArray(settings) ? settings : {}
  const { properties = {}, required = [] } = schema
  const needed = new Set(Array.isArray(required) ? required : [])
  const names = Object.keys(typeof properties === 'object' && properties !== null ? properties : {})
  return names.map((name) => (needed.has(name) ? name : `${name} (if wanted)`)).join(', ') || 'none'
}
