import {
  type ApprovalGrantView,
  type ApprovalRule,
  api,
  type DelegationView,
  type Json,
} from '@keyward/contract'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export function rulesCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ApprovalRule>[] = [
    { title: 'risk', value: ({ risk }) => risk },
    { title: 'people', value: ({ quorum }) => quorum, align: 'right' },
    { title: 'groups', value: ({ groups }) => groups.join(', ') || 'anybody' },
    { title: 'second factor', value: ({ secondFactor }) => (secondFactor ? 'yes' : 'no') },
    { title: 'hours', value: ({ expiresInSeconds }) => Math.round(expiresInSeconds / 3600), align: 'right' },
    { title: 'reminder', value: ({ remindAtPercent: at }) => (at === null ? '-' : `${at} %`) },
    {
      title: 'then',
      value: ({ escalateAtPercent: at, escalateTo }) =>
        at === null || escalateTo.length === 0 ? '-' : `${at} %: ${escalateTo.join(', ')}`,
    },
  ]
  return serverCommand({
    usage: 'rules',
    summary: 'What each risk asks for; "keyward api approvals.set_rule" changes it',
    examples: ['keyward approvals rules', 'keyward approvals rules --json'],
  }).action(async (options: CommonOptions) => {
    const { items } = await (await connect(needs, options)).call(api.approvals.rules, {})
    if (options.json) return terminal.json(items)
    terminal.write(renderTable(columns, items, terminal.columns))
  })
}

export const rightsCommands = (needs: Needs): Command[] => [
  delegateCommand(needs),
  delegationsCommand(needs),
  undelegateCommand(needs),
  commandGroup('ahead', 'Answers given ahead: this action on this target, for a time', [
    grantsCommand(needs),
    allowCommand(needs),
    endGrantCommand(needs),
  ]),
]

function seconds(text: string): number {
  const [, count = '', unit = 's'] = /^(\d{1,6})([smhd])?$/.exec(text) ?? []
  if (count === '') throw new InvalidArgumentError('Write a number and s, m, h or d, for example 2h.')
  return Number(count) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[unit] ?? 1)
}

const forOption = (): Option =>
  new Option('--for <time>', 'how long, for example 2h').argParser(seconds).makeOptionMandatory()

function delegateCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'delegate <personId>',
    summary: 'Let another person answer in your right, for a time',
    examples: ['keyward approvals delegate psn_01 --for 7d --reason "On holiday"'],
  })
    .addOption(forOption())
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (personId: string, options: CommonOptions & { for: number; reason: string }) => {
      const client = await connect(needs, options)
      const given = { personId, ttlSeconds: options.for, reason: options.reason }
      const made = await client.call(api.delegations.create, given)
      if (options.json) return terminal.json(made)
      terminal.note(`${made.to} may answer in your right until ${made.until} (${made.id}).`)
    })
}

function delegationsCommand(needs: Needs): Command {
  const columns: Column<DelegationView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'from', value: ({ from }) => from },
    { title: 'to', value: ({ to }) => to },
    { title: 'until', value: ({ until }) => shortTime(until) },
    { title: 'ended', value: ({ endedAt }) => shortTime(endedAt) },
    { title: 'reason', value: ({ reason }) => reason, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'delegations',
      summary: 'Who may answer in whose right',
      examples: ['keyward approvals delegations'],
    }),
  ).action(async (options: ListOptions) => {
    const client = await connect(needs, options)
    await showList(needs.terminal, options, columns, (paging) => client.call(api.delegations.list, paging))
  })
}

function undelegateCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'undelegate <delegationId>',
    summary: 'Take the right back, or give it back',
    examples: ['keyward approvals undelegate dlg_01'],
  }).action(async (delegationId: string, options: CommonOptions) => {
    const ended = await (await connect(needs, options)).call(api.delegations.end, { delegationId })
    if (options.json) return terminal.json(ended)
    terminal.note(`${ended.to} answers in the right of ${ended.from} no more.`)
  })
}

function grantsCommand(needs: Needs): Command {
  const columns: Column<ApprovalGrantView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'action', value: ({ action }) => action },
    { title: 'target', value: ({ target }) => target, shrink: true },
    { title: 'risk', value: ({ maxRisk }) => maxRisk },
    { title: 'by', value: ({ createdBy }) => createdBy, shrink: true },
    { title: 'until', value: ({ until }) => shortTime(until) },
    { title: 'ended', value: ({ endedAt }) => shortTime(endedAt) },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'What people have allowed ahead',
      examples: ['keyward approvals ahead list'],
    }),
  ).action(async (options: ListOptions) => {
    const client = await connect(needs, options)
    await showList(needs.terminal, options, columns, (paging) => client.call(api.approvalGrants.list, paging))
  })
}

type AllowOptions = CommonOptions & {
  readonly for: number
  readonly reason: string
  readonly args?: string
  readonly by?: string
  readonly risk: 'low' | 'medium'
}

function allowCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'allow <action> <target>',
    summary: 'Allow an action on a target ahead, for a time',
    examples: [
      `keyward approvals ahead allow github.create-branch example/shop --for 2h --args '{"base":"main"}' --reason "Release"`,
    ],
  })
    .addOption(forOption())
    .requiredOption('--reason <text>', 'why; recorded')
    .option('--args <json>', 'arguments that must be exactly so; the others may be anything')
    .option('--by <actor>', 'for this requester alone')
    .addOption(new Option('--risk <risk>', 'at most').choices(['low', 'medium']).default('low'))
    .action(async (action: string, target: string, options: AllowOptions) => {
      const client = await connect(needs, options)
      const made = await client.call(api.approvalGrants.create, {
        action,
        target,
        args: objectOf(options.args),
        requestedBy: options.by,
        maxRisk: options.risk,
        ttlSeconds: options.for,
        reason: options.reason,
      })
      if (options.json) return terminal.json(made)
      terminal.note(`${made.action} on ${made.target} is allowed until ${made.until} (${made.id}).`)
    })
}

function objectOf(text = '{}'): Record<string, Json> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, Json>
  } catch {
    // Said below, in words of the option.
  }
  throw new AppError('request.invalid', '--args must be a JSON object')
}

function endGrantCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'end <grantId>',
    summary: 'Allow it ahead no more',
    examples: ['keyward approvals ahead end agr_01'],
  }).action(async (grantId: string, options: CommonOptions) => {
    const ended = await (await connect(needs, options)).call(api.approvalGrants.end, { grantId })
    if (options.json) return terminal.json(ended)
    terminal.note(`${ended.action} on ${ended.target} is asked for again.`)
  })
}
