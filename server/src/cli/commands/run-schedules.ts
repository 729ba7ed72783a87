import { setTimeout as pause } from 'node:timers/promises'
import { api, type Json, type RunFiring, type RunScheduleView } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import type { Client } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { followRun } from '../follow-run.ts'
import { readInput } from '../input.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>

const pauseMilliseconds = 300

export const runScheduleCommand = (needs: Needs): Command =>
  commandGroup('schedule', 'Have flows started by the clock', [
    addCommand(needs),
    listCommand(needs),
    showCommand(needs),
    timesCommand(needs),
    changeCommand(needs),
    pauseCommand(needs, 'pause', true),
    pauseCommand(needs, 'resume', false),
    runCommand(needs),
    removeCommand(needs),
  ])

type Rhythm = {
  readonly title?: string
  readonly input?: string
  readonly timeZone?: string
  readonly missed?: RunScheduleView['missed']
  readonly overlap?: RunScheduleView['overlap']
}

const withRhythm = (command: Command): Command =>
  command
    .option('--input <file>', 'JSON object for the flow; - is standard input')
    .option('--title <title>', "in lists (default: the flow's)")
    .option('--time-zone <zone>', 'of --cron, as Europe/Zurich (default: UTC)')
    .addOption(
      new Option('--missed <policy>', 'times that went by while the server was away (default: once)').choices(
        ['skip', 'once', 'all'],
      ),
    )
    .addOption(
      new Option('--overlap <policy>', 'while an earlier run has not ended (default: skip)').choices([
        'skip',
        'queue',
        'allow',
      ]),
    )

const inputOf = async (needs: Needs, file: string | undefined): Promise<Record<string, Json> | undefined> =>
  file === undefined ? undefined : readInput(needs.terminal, file)

function addCommand(needs: Needs): Command {
  return withRhythm(
    serverCommand({
      usage: 'add <flow>',
      summary: 'Have a flow started by the clock, in your name',
      details:
        'What you may do is looked at again at each of its times. Its approvals ask as those of any run, and not you.',
      examples: [
        "keyward runs schedule add diagnose --input service.json --cron '0 7 * * 1-5' --time-zone Europe/Zurich",
        "keyward runs schedule add remind --input pr.json --cron '0 * * * *' --missed skip --overlap queue",
      ],
    }),
  )
    .requiredOption(
      '--cron <fields>',
      'minute, hour, day of the month, month, day of the week, as 30 3 * * 1-5',
    )
    .action(async (flow: string, given: CommonOptions & Rhythm & { readonly cron: string }) => {
      const { input, cron, title, timeZone, missed, overlap, ...options } = given
      const wanted = { title, timeZone, missed, overlap, cron, input: await inputOf(needs, input) }
      const client = await connect(needs, options)
      show(needs, options, await client.call(api.runSchedules.create, { flow, ...wanted }))
    })
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'list',
    summary: 'Schedules of runs, with their next and their last time',
    examples: ['keyward runs schedule list'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.runSchedules.list, {})
    if (options.json) return terminal.json({ items })
    if (items.length === 0) return terminal.note('None. See: keyward runs schedule add --help')
    terminal.write(renderTable(columns, items, terminal.columns))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <scheduleId>',
    summary: 'One schedule with its last times, and what became of each',
    examples: ['keyward runs schedule show sch_01'],
  }).action(async (scheduleId: string, options: CommonOptions) => {
    const schedule = await (await connect(needs, options)).call(api.runSchedules.read, { scheduleId })
    if (options.json) return terminal.json(schedule)
    terminal.write(scheduleText(schedule))
    if (schedule.firings.length > 0)
      terminal.write(`\n${renderTable(firingColumns, schedule.firings, terminal.columns)}`)
  })
}

function timesCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'times <cron>',
    summary: 'When a schedule would be due next, before it is made',
    examples: ["keyward runs schedule times '0 7 * * 1-5' --time-zone Europe/Zurich"],
  })
    .option('--time-zone <zone>', 'as Europe/Zurich (default: UTC)')
    .action(async (cron: string, { timeZone, ...options }: CommonOptions & Pick<Rhythm, 'timeZone'>) => {
      const client = await connect(needs, options)
      const times = await client.call(api.runSchedules.times, { cron, timeZone })
      if (options.json) return terminal.json(times)
      terminal.write(times.items.map((time) => `${shortTime(time)}\n`).join(''))
    })
}

function changeCommand(needs: Needs): Command {
  return withRhythm(
    serverCommand({
      usage: 'change <scheduleId>',
      summary: 'Change when a flow is started, and with what; its runs are yours from then on',
      examples: ["keyward runs schedule change sch_01 --cron '0 6 * * *' --overlap queue"],
    }),
  )
    .option('--cron <fields>', 'minute, hour, day of the month, month, day of the week')
    .action(async (scheduleId: string, given: CommonOptions & Rhythm & { readonly cron?: string }) => {
      const { input, cron, title, timeZone, missed, overlap, ...options } = given
      const change = { title, timeZone, missed, overlap, cron, input: await inputOf(needs, input) }
      if (Object.values(change).every((value) => value === undefined))
        throw new AppError(
          'request.invalid',
          'nothing is to be changed. See "keyward runs schedule change --help"',
        )
      const client = await connect(needs, options)
      show(needs, options, await client.call(api.runSchedules.change, { scheduleId, ...change }))
    })
}

function pauseCommand(needs: Needs, name: 'pause' | 'resume', paused: boolean): Command {
  return serverCommand({
    usage: `${name} <scheduleId>`,
    summary: paused ? 'Let its times go by' : 'Let it go on with its next time',
    examples: [`keyward runs schedule ${name} sch_01`],
  }).action(async (scheduleId: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    show(needs, options, await client.call(api.runSchedules.change, { scheduleId, paused }))
  })
}

function runCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'run <scheduleId>',
    summary: 'Start it now, in your name, and follow the run to its end',
    details: 'Exit code 1 when it could not be started, failed or was cancelled.',
    examples: ['keyward runs schedule run sch_01', 'keyward runs schedule run sch_01 --no-wait'],
  })
    .option('--no-wait', 'return at once')
    .action(async (scheduleId: string, { wait, ...options }: CommonOptions & { readonly wait: boolean }) => {
      const client = await connect(needs, options)
      const asked = await client.call(api.runSchedules.run, { scheduleId })
      if (!wait) return show(needs, options, asked)
      const firing = await settled(client, scheduleId, asked.last?.dueAt ?? '')
      if (firing.runId !== null) await followRun(needs.terminal, client, firing.runId)
      const now = await client.call(api.runSchedules.read, { scheduleId })
      show(needs, options, now)
      const end = now.firings.find(({ dueAt }) => dueAt === firing.dueAt)
      if (end?.runState !== 'Succeeded') needs.answer(exitNegative)
    })
}

async function settled(client: Client, scheduleId: string, dueAt: string): Promise<RunFiring> {
  for (;;) {
    const { firings } = await client.call(api.runSchedules.read, { scheduleId })
    const firing = firings.find((one) => one.dueAt === dueAt)
    if (!firing) throw new AppError('schedule.not_found', `schedule ${scheduleId} has forgotten ${dueAt}`)
    if (firing.state !== 'waiting') return firing
    await pause(pauseMilliseconds)
  }
}

function removeCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'remove <scheduleId>',
    summary: 'Forget a schedule; its runs stay',
    examples: ['keyward runs schedule remove sch_01'],
  }).action(async (scheduleId: string, options: CommonOptions) => {
    const done = await (await connect(needs, options)).call(api.runSchedules.remove, { scheduleId })
    if (options.json) return needs.terminal.json(done)
    needs.terminal.note(`Schedule ${scheduleId} is removed. Its runs stay.`)
  })
}

function show({ terminal }: Needs, { json }: CommonOptions, schedule: RunScheduleView): void {
  if (json) terminal.json(schedule)
  else terminal.write(scheduleText(schedule))
}

function stateText({ paused, last, heldBy }: RunScheduleView): string {
  if (paused) return 'paused'
  if (heldBy) return heldBy.runState
  return last === null ? 'new' : (last.runState ?? last.state)
}

const heldText = ({ heldBy }: RunScheduleView): string | null =>
  heldBy
    ? `no later time starts until run ${heldBy.runId} has ended; it waits for a person (${heldBy.runState})`
    : null

const columns: Column<RunScheduleView>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'state', value: stateText },
  { title: 'when', value: ({ cron, timeZone }) => `${cron} (${timeZone})`, shrink: true },
  { title: 'next', value: ({ nextAt }) => shortTime(nextAt) },
  { title: 'last', value: ({ last }) => shortTime(last?.dueAt ?? null) },
  { title: 'refused', value: ({ refused }) => String(refused), align: 'right' },
  { title: 'flow', value: ({ flow }) => flow },
  { title: 'title', value: ({ title }) => title, shrink: true },
  { title: 'requested by', value: ({ requestedBy }) => requestedBy, shrink: true },
]

const firingColumns: Column<RunFiring>[] = [
  { title: 'time', value: ({ dueAt }) => shortTime(dueAt) },
  { title: 'state', value: ({ state }) => state },
  { title: 'run', value: ({ runId }) => runId },
  { title: 'ended', value: ({ runState }) => runState },
  { title: 'requested by', value: ({ requestedBy }) => requestedBy, shrink: true },
  { title: 'reason', value: ({ reason }) => reason, shrink: true },
]

const missedText = { skip: 'are left out', once: 'become one run', all: 'are made up for, 24 at most' }
const overlapText = { skip: 'nothing is started', queue: 'its time waits', allow: 'both run' }

const scheduleText = (schedule: RunScheduleView): string =>
  renderFacts([
    ['Schedule', `${schedule.id}, ${stateText(schedule)}`],
    ['Title', schedule.title],
    ['Flow', schedule.flow],
    ['Input', JSON.stringify(schedule.input)],
    ['When', `${schedule.cron} (${schedule.timeZone})`],
    ['Missed times', missedText[schedule.missed]],
    ['Earlier run goes on', overlapText[schedule.overlap]],
    ['In the name of', schedule.requestedBy],
    ['Next', shortTime(schedule.nextAt)],
    ['Last', schedule.last ? lastText(schedule.last) : null],
    ['Held', heldText(schedule)],
    ['Started, refused', `${schedule.started}, ${schedule.refused}`],
    ['Skipped, missed', `${schedule.skipped ?? 0}, ${schedule.missedSpans ?? 0}`],
  ])

const lastText = ({ dueAt, state, runId, reason }: RunFiring): string =>
  [`${shortTime(dueAt)}: ${state}`, runId, reason].filter((part) => part !== null).join(' ')
