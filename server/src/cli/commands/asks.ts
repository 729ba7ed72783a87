import { type AskView, api, type Destination, injectionText } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { agentIdOf } from '../agent-id.ts'
import type { Client } from '../client.ts'
import { type CommonOptions, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { addPlace, type Injection, injectionFrom, placeText } from '../destinations.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'
import { askHidden } from '../prompt.ts'
import type { Column } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
const states: readonly AskView['state'][] = ['open', 'answered', 'denied', 'expired', 'withdrawn']

/** What an agent lacks, and what a person answers. */
export const askCommands = (needs: Needs): Command[] => [
  askCommand(needs),
  listCommand(needs),
  answerCommand(needs),
  closeCommand(needs, 'deny', 'Do not give the agent the secret; it reads why'),
  closeCommand(needs, 'withdraw', 'As the agent that asked, take the question back'),
]

type AskOptions = CommonOptions & {
  readonly field: string
  readonly to: readonly Destination[]
  readonly as?: Injection
  readonly reason: string
  readonly for: number
}

function askCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'ask <name>',
    summary: 'As an agent, ask a person for a secret that you lack; a reference comes back, never the value',
    details:
      "Signed in with the agent's API key in KEYWARD_TOKEN. The question stays open until somebody answers it; `keyward leases asks` " +
      'shows what became of it.',
    examples: [
      'keyward leases ask stripe --to "POST api.stripe.com/v1/*" --as bearer --reason "Refund order 17"',
    ],
  })
    .requiredOption('--to <place>', '[METHOD,…] host[:port][/path]; can be repeated', addPlace)
    .requiredOption('--reason <text>', 'why; the person reads it')
    .option('--as <injection>', 'the one place of a request where it may stand', injectionFrom)
    .option('--field <name>', 'field of the secret', 'value')
    .option('--for <seconds>', 'how long the question stays open', wholeNumber(60, 604_800), 86_400)
    .action(async (name: string, { to, as, field, reason, ...options }: AskOptions) => {
      const client = await connect(needs, options)
      const ask = await client.call(api.asks.create, {
        name,
        field,
        destinations: [...to],
        injection: as,
        reason,
        expiresInSeconds: options.for,
      })
      if (options.json) return terminal.json(ask)
      terminal.note(`Asked. A person answers with: keyward leases answer ${ask.id}`)
      terminal.write(`${ask.id}\n`)
    })
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<AskView>[] = [
    { title: 'id', value: ({ id }) => id },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => terminal.tint(state === 'open' ? 'green' : 'dim', text),
    },
    { title: 'agent', value: ({ agentName }) => agentName, shrink: true },
    {
      title: 'secret',
      value: ({ secretPath, field, reference }) => reference ?? `${secretPath}#${field}`,
      shrink: true,
    },
    { title: 'for', value: ({ destinations }) => destinations.map(placeText).join(' '), shrink: true },
    { title: 'until', value: ({ closedAt, expiresAt }) => shortTime(closedAt ?? expiresAt) },
    { title: 'reason', value: ({ closeReason, reason }) => closeReason ?? reason, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'asks',
      summary: 'Secrets that agents have asked for, newest first',
      examples: ['keyward leases asks --state open', 'keyward leases asks --agent shop-bot'],
    }),
  )
    .option('--agent <agent>', 'of this agent only, by name or id')
    .addOption(new Option('--state <state>', 'in this state only').choices(states))
    .action(
      async ({ agent, state, ...options }: ListOptions & { agent?: string; state?: AskView['state'] }) => {
        const client = await connect(needs, options)
        const agentId = agent === undefined ? undefined : await agentIdOf(client, agent)
        await showList(terminal, options, columns, (paging) =>
          client.call(api.asks.list, { ...paging, agentId, state }),
        )
      },
    )
}

type AnswerOptions = CommonOptions & {
  readonly to?: readonly Destination[] | undefined
  readonly ttl: number
  readonly for: number
}

function answerCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'answer <askId>',
    summary: 'Enter the secret that an agent asked for; it is stored, and granted to the agent',
    details:
      'What you type is not shown; without a terminal the first line of standard input is taken. Read the places before you ' +
      'enter it: the secret can go there. --to names fewer of them.',
    examples: [
      'keyward leases answer ask_01',
      'keyward leases answer ask_01 --to "GET api.stripe.com/v1/*" < key.txt',
    ],
  })
    .option('--to <place>', 'only here, instead of all places that were asked for; can be repeated', addPlace)
    .option('--ttl <seconds>', 'the longest life of a lease', wholeNumber(1, 3600), 300)
    .option('--for <seconds>', 'how long the agent may ask for leases', wholeNumber(60, 31_622_400), 86_400)
    .action(async (askId: string, { to, ttl, ...options }: AnswerOptions) => {
      const client = await connect(needs, options)
      const ask = await client.call(api.asks.read, { askId })
      if (ask.state !== 'open') throw new AppError('ask.closed', `${ask.id} is ${ask.state}`)
      terminal.note(asked(ask))
      const value = await askHidden(terminal, `${ask.secretPath}#${ask.field}: `)
      if (value.reveal() === '')
        throw new AppError('request.invalid', 'nothing was entered. Nothing was done')
      const answered = await answer(client, ask, { to, ttl, for: options.for }, value.reveal())
      if (options.json) return terminal.json(answered)
      terminal.note(`Stored and granted (${answered.grantId}). The agent gets ${answered.reference}.`)
    })
}

const answer = (
  client: Client,
  { id }: AskView,
  { to, ttl, ...options }: Pick<AnswerOptions, 'to' | 'ttl' | 'for'>,
  value: string,
): Promise<AskView> =>
  client.call(api.asks.answer, {
    askId: id,
    value,
    destinations: to && [...to],
    maxTtlSeconds: ttl,
    expiresInSeconds: options.for,
  })

function asked({ agentName, reason, destinations, injection }: AskView): string {
  const places = destinations.map((place) => `  ${placeText(place)}`).join('\n')
  return printable(
    `${agentName} asks for a secret: ${reason}\nIt could send it ${injectionText(injection).replace(/^for/, 'in')} to\n${places}`,
  )
}

function closeCommand(needs: Needs, word: 'deny' | 'withdraw', summary: string): Command {
  const { terminal } = needs
  return serverCommand({
    usage: `${word} <askId>`,
    summary,
    examples: [`keyward leases ${word} ask_01 --reason "Not needed any more"`],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (askId: string, { reason, ...options }: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      const ask = await client.call(api.asks[word], { askId, reason })
      if (options.json) return terminal.json(ask)
      terminal.note(`The question of ${ask.agentName} for ${ask.name} is ${ask.state}.`)
    })
}
