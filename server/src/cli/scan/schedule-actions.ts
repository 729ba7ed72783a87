import { setTimeout as pause } from 'node:timers/promises'
import { api, type ScheduleView } from '@keyward/contract'
import { AppError } from '../../core/index.ts'
import type { Client } from '../client.ts'
import type { CommonOptions } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>

type Rhythm = {
  readonly timeZone?: string
  readonly history?: ScheduleView['history']
  readonly watch?: boolean
  readonly propose?: boolean
}
type AddOptions = CommonOptions &
  Rhythm & { readonly cron?: string; readonly push?: 'github' | 'gitlab'; readonly repository?: string }

const pauseMilliseconds = 400

export async function add(needs: Needs, path: string, options: AddOptions): Promise<void> {
  const { cron, timeZone, history, watch, propose, push: provider, repository } = options
  if ((provider === undefined) !== (repository === undefined))
    throw new AppError('request.invalid', '--push and --repository belong together')
  const push = provider && repository ? { provider, repository } : null
  const client = await connect(needs, options)
  const wanted = { path, cron: cron ?? null, timeZone, history, watch, propose, push }
  const made = await client.call(api.schedules.create, wanted)
  const issued = push ? await client.call(api.schedules.secret, { scheduleId: made.id }) : undefined
  if (options.json) return needs.terminal.json({ ...made, hookReady: issued !== undefined, ...issued })
  needs.terminal.write(scheduleText(made))
  if (issued) needs.terminal.write(renderFacts([['Secret, shown once', issued.secret]]))
}

export async function list(needs: Needs, options: CommonOptions): Promise<void> {
  const { items } = await (await connect(needs, options)).call(api.schedules.list, {})
  if (options.json) return needs.terminal.json({ items })
  if (items.length === 0) return needs.terminal.note('None. See: keyward scan schedule add --help')
  needs.terminal.write(renderTable(columns, items, needs.terminal.columns))
}

type ChangeOptions = CommonOptions & Rhythm & { readonly cron?: string | false; readonly paused?: boolean }

export async function change(needs: Needs, scheduleId: string, options: ChangeOptions): Promise<void> {
  const { cron, timeZone, history, watch, propose, paused } = options
  const client = await connect(needs, options)
  const given = { cron: cron === false ? null : cron, timeZone, history, watch, propose, paused }
  if (Object.values(given).every((value) => value === undefined))
    throw new AppError(
      'request.invalid',
      'nothing is to be changed. See "keyward scan schedule change --help"',
    )
  show(needs, options, await client.call(api.schedules.change, { scheduleId, ...given }))
}

export async function run(
  needs: Needs,
  scheduleId: string,
  options: CommonOptions & { readonly wait: boolean },
): Promise<void> {
  const client = await connect(needs, options)
  const asked = await client.call(api.schedules.run, { scheduleId })
  const ended = options.wait ? await finished(client, asked) : asked
  show(needs, options, ended)
  if (options.wait && ended.last?.state === 'failed') needs.answer(exitNegative)
}

/** Each run is counted when it begins. */
async function finished(client: Client, asked: ScheduleView): Promise<ScheduleView> {
  for (;;) {
    const { items } = await client.call(api.schedules.list, {})
    const now = items.find(({ id }) => id === asked.id)
    if (!now) throw new AppError('schedule.not_found', `schedule ${asked.id} was removed`)
    if (now.runs > asked.runs && now.last?.state !== 'running') return now
    await pause(pauseMilliseconds)
  }
}

export async function secret(needs: Needs, scheduleId: string, options: CommonOptions): Promise<void> {
  const issued = await (await connect(needs, options)).call(api.schedules.secret, { scheduleId })
  if (options.json) return needs.terminal.json(issued)
  needs.terminal.write(`${issued.secret}\n`)
}

export async function remove(needs: Needs, scheduleId: string, options: CommonOptions): Promise<void> {
  const done = await (await connect(needs, options)).call(api.schedules.remove, { scheduleId })
  if (options.json) return needs.terminal.json(done)
  needs.terminal.note(`Schedule ${scheduleId} is removed. Its findings stay.`)
}

function show({ terminal }: Needs, { json }: CommonOptions, schedule: ScheduleView): void {
  if (json) terminal.json(schedule)
  else terminal.write(scheduleText(schedule))
}

const whenText = ({ cron, timeZone, watch, push }: ScheduleView): string =>
  [
    ...(cron === null ? [] : [`${cron} (${timeZone})`]),
    ...(watch ? ['as files change'] : []),
    ...(push === null ? [] : [`pushes to ${push.repository}`]),
  ].join(', ')

const stateText = ({ paused, last }: ScheduleView): string =>
  paused ? 'paused' : last === null ? 'new' : last.state

const columns: Column<ScheduleView>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'state', value: stateText },
  { title: 'when', value: whenText, shrink: true },
  { title: 'next', value: ({ nextAt }) => shortTime(nextAt) },
  { title: 'last', value: ({ last }) => shortTime(last?.startedAt ?? null) },
  { title: 'failures', value: ({ failures, runs }) => `${failures} of ${runs}`, align: 'right' },
  { title: 'path', value: ({ path }) => path, shrink: true },
]

const scheduleText = (schedule: ScheduleView): string =>
  renderFacts([
    ['Schedule', `${schedule.id}, ${stateText(schedule)}`],
    ['Path', schedule.path],
    ['When', whenText(schedule)],
    ['History', schedule.history],
    ['New findings', schedule.propose ? 'are proposed for import' : 'are kept'],
    ['Next', shortTime(schedule.nextAt)],
    ['Watching', schedule.watching?.problem ?? schedule.watching?.state],
    ['Webhook', schedule.hook],
    ['Last', schedule.last ? lastText(schedule.last) : null],
  ])

function lastText({ startedAt, opened, fixed, problem }: NonNullable<ScheduleView['last']>): string {
  const result = problem ?? `${opened} new, ${fixed} fixed`
  return `${shortTime(startedAt)}: ${result}`
}
