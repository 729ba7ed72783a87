import { api, type Json, type TriggerEvent, type TriggerFiring, type TriggerView } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { connectionNamed } from '../connection-named.ts'
import { readInput } from '../input.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const triggersCommand = (needs: Needs): Command =>
  commandGroup('triggers', 'What events of connected services start', [
    addCommand(needs),
    listCommand(needs),
    showCommand(needs),
    changeCommand(needs),
    pauseCommand(needs, 'pause', true),
    pauseCommand(needs, 'resume', false),
    removeCommand(needs),
  ])

const names: readonly TriggerEvent[] = ['push', 'pull_request', 'issues', 'release', 'check_suite']

type Given = CommonOptions & {
  readonly title?: string
  readonly input?: string
  readonly goal?: string
  readonly action?: string[]
  readonly branch?: string[]
  readonly label?: string[]
  readonly forks?: true
}

const several = (value: string, before: string[] = []): string[] => [...before, value]

const withFilters = (command: Command): Command =>
  command
    .option(
      '--input <file>',
      'JSON object for the flow; {"$event": "number"} is a field of the event; - is standard input',
    )
    .option('--goal <text>', 'words in which {number} is a field of the event; their plan is proposed')
    .option('--title <title>', "in lists (default: the flow's, or the goal)")
    .option('--action <name>', 'only of this kind, for example opened; again for the next one', several)
    .option(
      '--branch <pattern>',
      'only at, or into, branches of this name; * stands for any letters',
      several,
    )
    .option('--label <name>', 'only with one of these labels', several)
    .option('--forks', 'also for code in another repository: who wrote it may be anybody')

async function wantedOf(needs: Needs, given: Given) {
  const { input, goal, title, action: actions, branch: branches, label: labels, forks } = given
  const read: Record<string, Json> | undefined =
    input === undefined ? undefined : await readInput(needs.terminal, input)
  return { title, goal, actions, branches, labels, forks, input: read }
}

function addCommand(needs: Needs): Command {
  return withFilters(
    serverCommand({
      usage: 'add <connection>',
      summary: 'Have a flow started, or a goal proposed, when an event comes: in your name',
      details:
        'What you may do is looked at again at each event. Its approvals ask as those of any run, and not you.',
      examples: [
        'keyward triggers add code --event pull_request --repository team/shop --action opened --branch main --goal "deploy pull request {number} of {repository}"',
        'keyward triggers add code --event push --repository team/shop --branch main --flow diagnose --input service.json',
      ],
    }),
  )
    .addOption(new Option('--event <name>', 'as GitHub names it').choices(names).makeOptionMandatory())
    .requiredOption('--repository <name>', 'as owner/name')
    .option('--flow <name>', 'what is started')
    .action(
      async (name: string, options: Given & { event: TriggerEvent; repository: string; flow?: string }) => {
        const { event, repository, flow } = options
        const wanted = await wantedOf(needs, options)
        const client = await connect(needs, options)
        const { id: connectionId } = await connectionNamed(client, name)
        const body = { ...wanted, connectionId, event, repository, flow: flow ?? null }
        show(needs, options, await client.call(api.triggers.create, body))
      },
    )
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'list',
    summary: 'Triggers, with what they started last',
    examples: ['keyward triggers list'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.triggers.list, {})
    if (options.json) return terminal.json({ items })
    if (items.length === 0) return terminal.note('None. See: keyward triggers add --help')
    terminal.write(renderTable(columns, items, terminal.columns))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <triggerId>',
    summary: 'One trigger with its last events, and what became of each',
    examples: ['keyward triggers show trg_01'],
  }).action(async (triggerId: string, options: CommonOptions) => {
    const trigger = await (await connect(needs, options)).call(api.triggers.read, { triggerId })
    if (options.json) return terminal.json(trigger)
    terminal.write(triggerText(trigger))
    if (trigger.firings.length > 0)
      terminal.write(`\n${renderTable(firingColumns, trigger.firings, terminal.columns)}`)
  })
}

function changeCommand(needs: Needs): Command {
  return withFilters(
    serverCommand({
      usage: 'change <triggerId>',
      summary: 'Change what a trigger is for, or with what it starts; what it starts is yours from then on',
      examples: ["keyward triggers change trg_01 --branch main --branch 'release/*'"],
    }),
  ).action(async (triggerId: string, options: Given) => {
    const change = await wantedOf(needs, options)
    if (Object.values(change).every((value) => value === undefined))
      throw new AppError('request.invalid', 'nothing is to be changed. See "keyward triggers change --help"')
    const client = await connect(needs, options)
    show(needs, options, await client.call(api.triggers.change, { triggerId, ...change }))
  })
}

function pauseCommand(needs: Needs, name: 'pause' | 'resume', paused: boolean): Command {
  return serverCommand({
    usage: `${name} <triggerId>`,
    summary: paused ? 'Let events go by' : 'Let it go on with the next event',
    examples: [`keyward triggers ${name} trg_01`],
  }).action(async (triggerId: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    show(needs, options, await client.call(api.triggers.change, { triggerId, paused }))
  })
}

function removeCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'remove <triggerId>',
    summary: 'Forget a trigger; what it started stays',
    examples: ['keyward triggers remove trg_01'],
  }).action(async (triggerId: string, options: CommonOptions) => {
    const done = await (await connect(needs, options)).call(api.triggers.remove, { triggerId })
    if (options.json) return needs.terminal.json(done)
    needs.terminal.note(`Trigger ${triggerId} is removed. What it started stays.`)
  })
}

function show({ terminal }: Needs, { json }: CommonOptions, trigger: TriggerView): void {
  if (json) terminal.json(trigger)
  else terminal.write(triggerText(trigger))
}

const stateText = ({ paused, last }: TriggerView): string =>
  paused ? 'paused' : last === null ? 'new' : (last.runState ?? last.state)

const columns: Column<TriggerView>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'state', value: stateText },
  { title: 'event', value: ({ event }) => event },
  { title: 'repository', value: ({ repository }) => repository, shrink: true },
  { title: 'starts', value: ({ flow, goal }) => flow ?? goal, shrink: true },
  { title: 'last', value: ({ last }) => shortTime(last?.at ?? null) },
  { title: 'refused', value: ({ refused }) => String(refused), align: 'right' },
  { title: 'requested by', value: ({ requestedBy }) => requestedBy, shrink: true },
]

const firingColumns: Column<TriggerFiring>[] = [
  { title: 'time', value: ({ at }) => shortTime(at) },
  { title: 'state', value: ({ state }) => state },
  { title: 'event', value: ({ about }) => about, shrink: true },
  { title: 'run or goal', value: ({ runId, goalId }) => runId ?? goalId },
  { title: 'ended', value: ({ runState }) => runState },
  { title: 'reason', value: ({ reason }) => reason, shrink: true },
]

const any = (words: readonly string[]): string => (words.length === 0 ? 'any' : words.join(', '))

const triggerText = (trigger: TriggerView): string =>
  renderFacts([
    ['Trigger', `${trigger.id}, ${stateText(trigger)}`],
    ['Title', trigger.title],
    [
      'Event',
      `${trigger.event} of ${trigger.repository} by ${trigger.connection ?? 'a connection that is gone'}`,
    ],
    ['Actions', any(trigger.actions)],
    ['Branches', any(trigger.branches)],
    ['Labels', any(trigger.labels)],
    ['Forks', trigger.forks ? 'too' : 'left out'],
    ...(trigger.goal === null
      ? ([
          ['Starts', trigger.flow],
          ['Input', JSON.stringify(trigger.input)],
        ] as const)
      : ([['Proposes', trigger.goal]] as const)),
    ['In the name of', trigger.requestedBy],
    ['Started, refused', `${trigger.started}, ${trigger.refused}`],
  ])
