import { api, type ChannelAccountView, type ChannelView, type DeliveryView } from '@keyward/contract'
import { Argument, type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { addRoute, addSetting, type Route, routeText, type SettingValue } from '../channel-options.ts'
import type { Client } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
const kinds: readonly ChannelView['kind'][] = ['slack', 'teams', 'email', 'webhook', 'pagerduty']

export const channelsCommand = (needs: Needs): Command =>
  commandGroup('channels', 'Where people are told what happens, and may answer', [
    listCommand(needs),
    createCommand(needs),
    changeCommand(needs),
    removeCommand(needs),
    testCommand(needs),
    checkCommand(needs),
    deliveriesCommand(needs),
    retryCommand(needs),
    linkCommand(needs),
    accountsCommand(needs),
    unlinkCommand(needs),
  ])

async function channelOf(client: Client, given: string): Promise<ChannelView> {
  const { items } = await client.call(api.channels.list, {})
  const found = items.find(({ id, name }) => id === given || name === given)
  if (found) return found
  throw new AppError('channel.not_found', `there is no channel '${given}': keyward channels list`)
}

function listCommand(needs: Needs): Command {
  const { terminal, answer } = needs
  const columns: Column<ChannelView>[] = [
    { title: 'name', value: ({ name }) => name },
    { title: 'kind', value: ({ kind }) => kind },
    {
      title: 'health',
      value: ({ health, paused }) => (paused ? 'paused' : health.state),
      paint: (text, { health }) => terminal.tint(health.state === 'down' ? 'red' : 'green', text),
    },
    { title: 'sent', value: ({ sent }) => sent, align: 'right' },
    { title: 'waiting', value: ({ waiting }) => waiting, align: 'right' },
    { title: 'given up', value: ({ dead }) => dead, align: 'right' },
    { title: 'last sent', value: ({ lastSentAt }) => shortTime(lastSentAt) },
    { title: 'told', value: ({ routes }) => routes.map(routeText).join(' '), shrink: true },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Channels, how they are and what they are told; exit code 1 when something was given up',
    examples: ['keyward channels list'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.channels.list, {})
    if (items.some(({ dead }) => dead > 0)) answer(exitNegative)
    if (options.json) return terminal.json({ items })
    if (items.length > 0) terminal.write(renderTable(columns, items, terminal.columns))
    else terminal.note('None. Add one with: keyward channels create')
  })
}

type Given = CommonOptions & {
  readonly set?: Readonly<Record<string, SettingValue>>
  readonly secret?: string
  readonly allowPrivate?: boolean
  readonly route?: readonly Route[]
}

const withSettings = (command: Command): Command =>
  command
    .option(
      '--set <name=value>',
      'a setting, for example conversation=C0123456789; can be repeated',
      addSetting,
    )
    .option('--secret <path>', 'where in the vault its secret lies')
    .option('--route <events[:risks]>', 'what it is told; can be repeated', addRoute)
    .option('--allow-private', 'its address may be one that is not public')

function createCommand(needs: Needs): Command {
  const { terminal } = needs
  const command = serverCommand({
    usage: 'create',
    summary: 'Add a channel; what it needs to sign in lies in the vault',
    details:
      'Fields of the secret: slack bot-token and signing-secret; teams app-password (with --set bot=…) or webhook-url; email password; ' +
      'webhook key (whsec_…) and, while it is changed, previous-key; pagerduty routing-key.',
    examples: [
      'keyward channels create slack releases --set conversation=C0123456789 --secret secret/channels/slack',
      'keyward channels create pagerduty on-call --secret secret/channels/pagerduty --route approval.requested,run.finished:high,critical',
      'keyward channels create email ops --set host=mail.example.com --set from=keyward@example.com --set to=ops@example.com',
    ],
  })
    .addArgument(new Argument('<kind>').choices(kinds))
    .argument('<name>')
  return withSettings(command).action(async (kind: ChannelView['kind'], name: string, given: Given) => {
    const client = await connect(needs, given)
    const made = await client.call(api.channels.create, {
      kind,
      name,
      settings: { ...given.set },
      secretPath: given.secret ?? null,
      allowPrivate: given.allowPrivate ?? false,
      routes: given.route && [...given.route],
    })
    if (given.json) return terminal.json(made)
    terminal.note(`${made.name} is there (${made.id}). Try it: keyward channels test ${made.name}`)
  })
}

function changeCommand(needs: Needs): Command {
  const { terminal } = needs
  const command = serverCommand({
    usage: 'change <channel>',
    summary: 'Change its settings or what it is told, pause it or let it go on',
    details: 'What is not given stays as it is; --route replaces all routes.',
    examples: [
      'keyward channels change releases --pause',
      'keyward channels change releases --route approval.requested:low',
    ],
  })
    .addOption(new Option('--pause', 'what it is told waits').conflicts('resume'))
    .option('--resume', 'it goes on, with what has waited')
  return withSettings(command).action(
    async (given: string, { set, secret, route, allowPrivate, pause, resume, ...options }: ChangeOptions) => {
      const client = await connect(needs, options)
      const { id, settings } = await channelOf(client, given)
      const changed = await client.call(api.channels.change, {
        channelId: id,
        settings: set && { ...settings, ...set },
        secretPath: secret,
        allowPrivate,
        routes: route && [...route],
        paused: pause ? true : resume ? false : undefined,
      })
      if (options.json) return terminal.json(changed)
      terminal.write(renderFacts(factsOf(changed)))
    },
  )
}

type ChangeOptions = Given & { readonly pause?: boolean; readonly resume?: boolean }

function removeCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'remove <channel>',
    summary: 'Forget a channel and what waits for it',
    examples: ['keyward channels remove releases'],
  }).action(async (given: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id, name } = await channelOf(client, given)
    const removed = await client.call(api.channels.remove, { channelId: id })
    if (options.json) return terminal.json(removed)
    terminal.note(`${name} is forgotten.`)
  })
}

function testCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'test <channel>',
    summary: 'Send a message that says it is a test',
    examples: ['keyward channels test releases'],
  }).action(async (given: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id, name } = await channelOf(client, given)
    const sent = await client.call(api.channels.test, { channelId: id })
    if (options.json) return terminal.json(sent)
    terminal.note(`${name} was sent a test.`)
  })
}

function checkCommand(needs: Needs): Command {
  const { terminal, answer } = needs
  return serverCommand({
    usage: 'check <channel>',
    summary: 'Whether its service answers and knows the secret; people see nothing of it',
    examples: ['keyward channels check releases'],
  }).action(async (given: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id } = await channelOf(client, given)
    const checked = await client.call(api.channels.check, { channelId: id })
    if (checked.health.state !== 'up') answer(exitNegative)
    if (options.json) return terminal.json(checked)
    terminal.write(renderFacts(factsOf(checked)))
  })
}

function factsOf({
  name,
  kind,
  health,
  paused,
  secretPath,
  routes,
  settings,
}: ChannelView): [string, string][] {
  const latency = health.latencyMs === null ? '' : `, ${Math.round(health.latencyMs)} ms`
  return [
    ['Channel', `${name} (${kind})${paused ? ', paused' : ''}`],
    ['Health', `${health.state}${latency}${health.detail ? `: ${health.detail}` : ''}`],
    ['Secret', secretPath ?? 'none'],
    ['Told', routes.map(routeText).join(' ')],
    ['Settings', JSON.stringify(settings)],
  ]
}

function deliveriesCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<DeliveryView>[] = [
    { title: 'at', value: ({ createdAt }) => shortTime(createdAt) },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) =>
        terminal.tint(state === 'dead' ? 'red' : state === 'sent' ? 'green' : 'yellow', text),
    },
    { title: 'event', value: ({ event }) => event },
    { title: 'about', value: ({ subject }) => subject },
    { title: 'tries', value: ({ attempts }) => attempts, align: 'right' },
    { title: 'next', value: ({ nextAt }) => shortTime(nextAt) },
    { title: 'problem', value: ({ problem }) => problem, shrink: true },
  ]
  return serverCommand({
    usage: 'deliveries <channel>',
    summary: 'What was sent, waits or was given up, newest first',
    examples: ['keyward channels deliveries releases --state dead'],
  })
    .addOption(new Option('--state <state>', 'in this state only').choices(['waiting', 'sent', 'dead']))
    .action(
      async (given: string, { state, ...options }: CommonOptions & { state?: DeliveryView['state'] }) => {
        const client = await connect(needs, options)
        const { id } = await channelOf(client, given)
        const page = await client.call(api.channels.deliveries, { channelId: id, state })
        if (options.json) return terminal.json(page)
        if (page.items.length > 0) terminal.write(renderTable(columns, page.items, terminal.columns))
        else terminal.note('None.')
      },
    )
}

function retryCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'retry <channel>',
    summary: 'Try again what was given up',
    examples: ['keyward channels retry releases'],
  }).action(async (given: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { id } = await channelOf(client, given)
    const { revived } = await client.call(api.channels.retry, { channelId: id })
    if (options.json) return terminal.json({ revived })
    terminal.note(`${revived} tried again.`)
  })
}

function linkCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'link',
    summary: 'A code that links your chat account to you: send it from the chat',
    details:
      'In Slack: /keyward link CODE. In Teams: write "link CODE" to the bot. It works once, within ten minutes.',
    examples: ['keyward channels link'],
  }).action(async (options: CommonOptions) => {
    const linked = await (await connect(needs, options)).call(api.channels.link, {})
    if (options.json) return terminal.json(linked)
    terminal.write(`${linked.code}\n`)
    terminal.note(
      `Slack: /keyward link ${linked.code}\nTeams: link ${linked.code}\nUntil ${shortTime(linked.expiresAt)}.`,
    )
  })
}

function accountsCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ChannelAccountView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'chat', value: ({ kind }) => kind },
    { title: 'workspace', value: ({ workspace }) => workspace },
    { title: 'account', value: ({ account }) => account },
    { title: 'person', value: ({ personName }) => personName, shrink: true },
    { title: 'linked', value: ({ linkedAt }) => shortTime(linkedAt) },
  ]
  return serverCommand({
    usage: 'accounts',
    summary: 'Chat accounts that are linked to people',
    examples: ['keyward channels accounts'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.channels.accounts, {})
    if (options.json) return terminal.json({ items })
    if (items.length > 0) terminal.write(renderTable(columns, items, terminal.columns))
    else terminal.note('None.')
  })
}

function unlinkCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'unlink <accountId>',
    summary: 'Part a chat account from its person; yours, or as an owner anybody’s',
    examples: ['keyward channels unlink cha_01'],
  }).action(async (accountId: string, options: CommonOptions) => {
    const removed = await (await connect(needs, options)).call(api.channels.unlink, { accountId })
    if (options.json) return terminal.json(removed)
    terminal.note('Parted.')
  })
}
