import { type ApprovalState, type ApprovalView, api } from '@keyward/contract'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { confirm } from '../prompt.ts'
import type { Column } from '../table.ts'
import { rightsCommands, rulesCommand } from './approval-rights.ts'
import { approvalText } from './approval-text.ts'
import { changeCommand } from './change-approval.ts'
import { withSecondFactor } from './shown-factor.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>

const states: readonly ApprovalState[] = [
  'pending',
  'approved',
  'denied',
  'expired',
  'cancelled',
  'voided',
  'superseded',
]

export const approvalsCommand = (needs: Needs): Command =>
  commandGroup('approvals', 'What waits for a person, and what was decided', [
    listCommand(needs),
    showCommand(needs),
    changeCommand(needs),
    rulesCommand(needs),
    ...rightsCommands(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ApprovalView>[] = [
    { title: 'id', value: ({ id }) => id },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => (state === 'pending' ? terminal.tint('yellow', text) : text),
    },
    { title: 'risk', value: ({ risk }) => risk },
    { title: 'title', value: ({ title }) => title, shrink: true },
    { title: 'target', value: ({ target }) => target, shrink: true },
    { title: 'requested by', value: ({ requestedBy }) => requestedBy, shrink: true },
    { title: 'expires', value: ({ expiresAt }) => shortTime(expiresAt) },
    { title: 'decided by', value: ({ decidedBy }) => decidedBy, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Approvals, newest first',
      examples: ['keyward approvals list --state pending', 'keyward approvals list --all --json'],
    }),
  )
    .addOption(new Option('--state <state>', 'in this state only').choices(states))
    .action(async (options: ListOptions & { state?: ApprovalState }) => {
      const client = await connect(needs, options)
      const { state } = options
      await showList(terminal, options, columns, (paging) =>
        client.call(api.approvals.list, { ...paging, state }),
      )
    })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <approvalId>',
    summary: 'One approval with exactly what it would allow',
    examples: ['keyward approvals show apr_01'],
  }).action(async (approvalId: string, options: CommonOptions) => {
    const approval = await (await connect(needs, options)).call(api.approvals.read, { approvalId })
    if (options.json) return terminal.json(approval)
    terminal.write(approvalText(approval))
  })
}

export const approveCommand = (needs: Needs): Command =>
  answerCommand(needs, {
    verb: 'approve',
    summary: 'Allow exactly what is shown, once',
    question: 'Approve exactly this?',
  })

export const denyCommand = (needs: Needs): Command =>
  answerCommand(needs, { verb: 'deny', summary: 'Refuse what is asked', question: 'Deny this?' })

type Answer = { readonly verb: 'approve' | 'deny'; readonly summary: string; readonly question: string }
type AnswerOptions = CommonOptions & {
  readonly yes?: boolean
  readonly digest?: string
  readonly reason?: string
}

function answerCommand(needs: Needs, { verb, summary, question }: Answer): Command {
  const { terminal } = needs
  return serverCommand({
    usage: `${verb} <approvalId>`,
    summary,
    details:
      'Shows what would run and asks. The answer carries the digest of what was shown: when anything about it has\n' +
      'changed since, the server refuses the answer. A script gives the digest it has reviewed with --digest.',
    examples: [
      `keyward ${verb} apr_01`,
      `keyward ${verb} apr_01 --yes --digest 9f86d081884c7d65… --reason "Reviewed"`,
    ],
  })
    .option('--yes', 'do not ask')
    .option('--digest <hex>', 'only if this is still what is asked', digestOption)
    .option('--reason <text>', 'why; recorded')
    .action(async (approvalId: string, { yes, digest, reason, ...options }: AnswerOptions) => {
      const client = await connect(needs, options)
      const shown = await client.call(api.approvals.read, { approvalId })
      terminal.note(approvalText(shown).trimEnd())
      refuseStale(shown, digest)
      if (!yes && !(await confirm(terminal, question))) {
        terminal.note('Nothing was decided.')
        needs.answer(exitNegative)
        return
      }
      const decided = await withSecondFactor(terminal, client, shown, () =>
        client.call(api.approvals[verb], { approvalId, digest: shown.digest, reason }),
      )
      if (options.json) terminal.json(decided)
      else terminal.note(`${decided.title}: ${decided.state} by ${decided.decidedBy ?? 'nobody'}.`)
    })
}

function digestOption(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new InvalidArgumentError('It must be 64 lower-case hex digits.')
  return text
}

function refuseStale({ id, state, decidedBy, digest }: ApprovalView, reviewed: string | undefined): void {
  if (reviewed !== undefined && reviewed !== digest) {
    throw new AppError(
      'approval.void',
      `${id} has the digest ${digest}. Review it again: keyward approvals show ${id}`,
    )
  }
  if (state === 'pending') return
  if (state === 'expired') throw new AppError('approval.expired', `${id}. Start its run again`)
  throw new AppError('approval.answered', `${id} is ${state}${decidedBy ? ` by ${decidedBy}` : ''}`)
}
