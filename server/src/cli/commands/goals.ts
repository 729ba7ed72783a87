import { api, type GoalView, type PlanPreview, type ProposalView, type TaskPreview } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { endedBadly, followRun } from '../follow-run.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { confirm } from '../prompt.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>
type GoalOptions = CommonOptions & {
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly watch?: boolean
}

export function goalCommand(needs: Needs): Command {
  const { terminal, answer } = needs
  return serverCommand({
    usage: 'goal <text>',
    summary: 'Say what is wanted; see the plan for it, and start it',
    details:
      'The plan is shown first: what each task does, how risky it is, whether it can be undone, and which of them ask a person. Nothing runs before you say yes.',
    examples: [
      'keyward goal "deploy the feature of pull request 123"',
      'keyward goal "rotate the keys of shop" --watch',
      'keyward goal "diagnose run run_01" --yes --json',
    ],
  })
    .option('--yes', 'start it without asking here; its approvals still ask')
    .option('--dry-run', 'show the plan and stop')
    .option('--watch', 'follow its run to the end')
    .action(async (text: string, options: GoalOptions) => {
      const client = await connect(needs, options)
      const goal = await client.call(api.goals.propose, { text })
      const proposal = planned(goal)
      if (options.dryRun) {
        if (options.json) terminal.json(goal)
        else terminal.write(planText(proposal, terminal.columns))
        return
      }
      if (!options.json || !options.yes) terminal.note(planText(proposal, terminal.columns).trimEnd())
      if (!options.yes && !(await confirm(terminal, 'Start this?'))) {
        terminal.note(`Nothing was started. keyward goals show ${goal.id} has the plan.`)
        return
      }
      const digest = proposal.plan.planDigest
      const started = await client.call(api.goals.start, {
        goalId: goal.id,
        proposal: proposal.number,
        digest,
      })
      const run = options.watch ? await followRun(terminal, client, started.id) : started
      if (options.json) terminal.json(run)
      else terminal.write(`${run.id}\n`)
      if (endedBadly(run)) answer(exitNegative)
    })
}

/** The proposal that can be started, or in words why there is none. */
function planned({ choices, proposals }: GoalView): ProposalView & { plan: PlanPreview } {
  const [proposal] = proposals
  if (!proposal) {
    const wordings = choices.map(({ title, text }) => `keyward goal "${text}" (${title})`)
    throw new AppError('goal.unknown', `This can mean several things. Say which: ${wordings.join(' or ')}`)
  }
  const { plan, problem } = proposal
  if (!plan) throw new AppError('goal.state', `It cannot be planned now: ${problem}`)
  return { ...proposal, plan }
}

function planText(
  { model, flow, plan }: ProposalView & { plan: PlanPreview },
  width: number | undefined,
): string {
  const columns: Column<TaskPreview>[] = [
    { title: 'task', value: ({ id }) => id },
    { title: 'title', value: ({ title }) => title, shrink: true },
    { title: 'action', value: ({ action }) => action, shrink: true },
    { title: 'after', value: (task) => task.needs.join(' ') || null, shrink: true },
    { title: 'risk', value: ({ risk }) => risk },
    {
      title: 'undo',
      value: ({ reversible, rollback }) => rollback ?? (reversible ? 'yes' : 'no'),
      shrink: true,
    },
    { title: 'asks', value: ({ gated }) => (gated ? 'yes' : null) },
    {
      title: 'takes',
      value: ({ expectedSeconds: seconds }) => (seconds === null ? null : secondsText(seconds)),
      align: 'right',
    },
    { title: 'billed', value: ({ cost }) => cost ?? null, shrink: true },
    { title: 'permissions', value: ({ permissions }) => permissions.join(' ') || null, shrink: true },
    { title: 'secrets', value: ({ secrets }) => secrets.join(' ') || null, shrink: true },
  ]
  const facts = renderFacts([
    ['Plan', plan.plan.title],
    ['Flow', flow],
    ['Proposed by', model === null ? 'rules' : `the language model ${model}; look twice`],
    ['Expected to take', plan.expectedSeconds === null ? 'not known yet' : secondsText(plan.expectedSeconds)],
    ['Digest', plan.planDigest],
  ])
  return `${facts}\n${renderTable(columns, plan.tasks, width)}`
}

const secondsText = (seconds: number): string =>
  `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`

export const goalsCommand = (needs: Needs): Command =>
  commandGroup('goals', 'Goals that were said: list, show', [listCommand(needs), showCommand(needs)])

function listCommand(needs: Needs): Command {
  const columns: Column<GoalView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'state', value: ({ state }) => state },
    { title: 'goal', value: ({ text }) => text, shrink: true },
    { title: 'run', value: ({ runId }) => runId },
    { title: 'outcome', value: ({ outcome }) => outcome },
    { title: 'by', value: ({ createdBy }) => createdBy, shrink: true },
    { title: 'said', value: ({ createdAt }) => shortTime(createdAt) },
  ]
  return withListOptions(
    serverCommand({ usage: 'list', summary: 'Goals, newest first', examples: ['keyward goals list'] }),
  ).action(async (options: ListOptions) => {
    const client = await connect(needs, options)
    await showList(needs.terminal, options, columns, (paging) => client.call(api.goals.list, paging))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <goalId>',
    summary: 'One goal with the plan that was proposed',
    examples: ['keyward goals show goal_01'],
  }).action(async (goalId: string, options: CommonOptions) => {
    const goal = await (await connect(needs, options)).call(api.goals.read, { goalId })
    if (options.json) {
      terminal.json(goal)
      return
    }
    const { text, state, runId, outcome, choices, createdBy, createdAt } = goal
    const head = renderFacts([
      ['Goal', text],
      ['State', state],
      ['Said', `${shortTime(createdAt)} by ${createdBy}`],
      ['Run', runId],
      ['Outcome', outcome],
      ...choices.map(({ text: choice }) => ['Say', choice] as const),
    ])
    terminal.write(goal.proposals[0]?.plan ? `${head}\n${planText(planned(goal), terminal.columns)}` : head)
  })
}
