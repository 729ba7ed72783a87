import { api, type ConnectionView, type Json } from '@keyward/contract'
import { type Command, InvalidArgumentError } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { connectionNamed } from '../connection-named.ts'
import { exitNegative } from '../exit-code.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'
import type { Tint } from '../terminal.ts'
import { connectionHooksCommand } from './connection-hooks.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
type Settings = { readonly [name: string]: Json }
type GivenOptions = CommonOptions & {
  readonly secret?: string
  readonly set?: Settings
  readonly environment?: string
}

export const connectionsCommand = (needs: Needs): Command =>
  commandGroup('connections', 'Services that are connected: add, check, change, remove', [
    listCommand(needs),
    addCommand(needs),
    checkCommand(needs),
    changeCommand(needs),
    removeCommand(needs),
    connectionHooksCommand(needs),
  ])

const tints: Record<NonNullable<ConnectionView['health']>['state'], Tint> = {
  up: 'green',
  degraded: 'yellow',
  down: 'red',
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ConnectionView>[] = [
    { title: 'name', value: ({ name }) => name },
    { title: 'connector', value: ({ connector }) => connector },
    { title: 'environment', value: ({ environment }) => environment },
    {
      title: 'state',
      value: ({ health }) => health?.state ?? 'not asked yet',
      paint: (text, { health }) => (health ? terminal.tint(tints[health.state], text) : text),
    },
    { title: 'answered in', value: ({ health }) => health && `${health.latencyMs} ms`, align: 'right' },
    { title: 'asked', value: ({ health }) => shortTime(health?.checkedAt ?? null) },
    { title: 'secret', value: ({ secretPath }) => secretPath, shrink: true },
    { title: 'says', value: ({ health }) => health?.detail ?? null, shrink: true },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Connected services, with how they were when they were last asked',
    examples: ['keyward connections list', 'keyward connections list --json'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.connections.list, {})
    if (options.json) return terminal.json({ items })
    if (items.length === 0) return terminal.note('None. See: keyward connections add --help')
    terminal.write(renderTable(columns, items, terminal.columns))
  })
}

/** `name=value`; what is written as JSON (a list, a number in quotes, true) is taken as such. */
function setting(text: string, before: Settings = {}): Settings {
  const [, name, value] = /^([A-Za-z][\w-]*)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write it as name=value.')
  return { ...before, [name]: /^[[{"]|^(?:true|false|null)$/.test(value) ? parsed(value) : value }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new InvalidArgumentError('It begins like JSON and is none.')
  }
}

const withGiven = (command: Command): Command =>
  command
    .option('--secret <path>', 'where the vault has what the service asks for')
    .option(
      '--set <name=value>',
      'an address or an id that the service needs; again for the next one',
      setting,
    )
    .option('--environment <name>', "what it belongs to, for example production; '' when that is not known")

function addCommand(needs: Needs): Command {
  return withGiven(
    serverCommand({
      usage: 'add <name>',
      summary: 'Connect a service, and ask it how it is',
      details:
        'Its secret stays in the vault; the connection has its path. What a service needs: keyward connectors show. Exit code 1 when it ' +
        'does not answer as it should.',
      examples: [
        'keyward connections add code --connector github --secret secret/github/app --set appId=12345 --set installationId=678',
      ],
    }),
  )
    .requiredOption('--connector <kind>', 'what kind of service it is')
    .action(async (name: string, options: GivenOptions & { connector: string }) => {
      const client = await connect(needs, options)
      const { connector, secret = null, set = {}, environment } = options
      const belongs = environment ? { environment } : {}
      const wanted = { name, connector, settings: { ...set }, secretPath: secret, ...belongs }
      const { id } = await client.call(api.connections.create, wanted)
      show(needs, options, await client.call(api.connections.check, { connectionId: id }))
    })
}

function checkCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'check <name>',
    summary: 'Ask the service now how it is; changes nothing there',
    details: 'Exit code 1 when it does not answer as it should.',
    examples: ['keyward connections check code'],
  }).action(async (name: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id } = await connectionNamed(client, name)
    show(needs, options, await client.call(api.connections.check, { connectionId: id }))
  })
}

function changeCommand(needs: Needs): Command {
  return withGiven(
    serverCommand({
      usage: 'change <name>',
      summary: 'Change single settings, its environment, or where its secret is, and ask it how it is',
      examples: ['keyward connections change code --secret secret/github/app-2'],
    }),
  ).action(async (name: string, options: GivenOptions) => {
    if (options.secret === undefined && options.set === undefined && options.environment === undefined)
      throw new AppError('request.invalid', 'nothing is to be changed. Give --secret, --set or --environment')
    const client = await connect(needs, options)
    const { id, settings } = await connectionNamed(client, name)
    await client.call(api.connections.change, {
      connectionId: id,
      ...(options.secret === undefined ? {} : { secretPath: options.secret }),
      ...(options.set === undefined ? {} : { settings: { ...settings, ...options.set } }),
      ...(options.environment === undefined ? {} : { environment: options.environment || null }),
    })
    show(needs, options, await client.call(api.connections.check, { connectionId: id }))
  })
}

function removeCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'remove <name>',
    summary: 'Forget a connection; its secret stays in the vault',
    examples: ['keyward connections remove code'],
  }).action(async (name: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id } = await connectionNamed(client, name)
    const answer = await client.call(api.connections.remove, { connectionId: id })
    if (options.json) return needs.terminal.json(answer)
    needs.terminal.write(`${name} is forgotten\n`)
  })
}

function show({ terminal, answer }: Needs, { json }: CommonOptions, connection: ConnectionView): void {
  const { id, name, connector, settings, secretPath, environment, health } = connection
  if (health?.state !== 'up') answer(exitNegative)
  if (json) terminal.json(connection)
  else
    terminal.write(
      renderFacts([
        ['Connection', `${name} (${id}), ${connector}`],
        ['Secret', secretPath ?? 'none'],
        ['Environment', environment ?? 'not said'],
        ...Object.entries(settings).map(
          ([field, value]) => [field, typeof value === 'string' ? value : JSON.stringify(value)] as const,
        ),
        [
          'State',
          health ? `${health.state} after ${health.latencyMs} ms: ${health.detail}` : 'not asked yet',
        ],
      ]),
    )
}
