import { api, type RunDetail, type RunState, type RunView, type TaskView } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { followOutput } from '../follow-output.ts'
import { endedBadly, followRun } from '../follow-run.ts'
import { readInput } from '../input.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { readPlan } from '../plan-file.ts'
import { writeRunLogs } from '../run-logs.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'
import { planCommand } from './run-plan.ts'
import { runScheduleCommand } from './run-schedules.ts'
import { steeringCommands } from './run-steering.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>

const states: readonly RunState[] = [
  'Running',
  'AwaitingApproval',
  'AwaitingPerson',
  'Paused',
  'Succeeded',
  'Failed',
  'Cancelled',
]

export const runsCommand = (needs: Needs): Command =>
  commandGroup('runs', 'Durable runs: plan, start, by the clock too, watch, read, pause, retry, cancel', [
    listCommand(needs),
    showCommand(needs),
    startCommand(needs),
    watchCommand(needs),
    logsCommand(needs),
    planCommand(needs),
    runScheduleCommand(needs),
    ...steeringCommands(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<RunView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'state', value: ({ state }) => state },
    { title: 'outcome', value: ({ outcome }) => outcome ?? null },
    { title: 'tasks', value: ({ doneCount, taskCount }) => `${doneCount}/${taskCount}`, align: 'right' },
    { title: 'flow', value: ({ flow }) => flow },
    { title: 'title', value: ({ title }) => title, shrink: true },
    { title: 'requested by', value: ({ requestedBy }) => requestedBy, shrink: true },
    { title: 'created', value: ({ createdAt }) => shortTime(createdAt) },
    { title: 'finished', value: ({ finishedAt }) => shortTime(finishedAt) },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Runs, newest first',
      examples: ['keyward runs list', 'keyward runs list --state AwaitingApproval'],
    }),
  )
    .addOption(new Option('--state <state>', 'in this state only').choices(states))
    .action(async (options: ListOptions & { state?: RunState }) => {
      const client = await connect(needs, options)
      const { state } = options
      await showList(terminal, options, columns, (paging) => client.call(api.runs.list, { ...paging, state }))
    })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <runId>',
    summary: 'One run with its tasks',
    examples: ['keyward runs show run_01'],
  }).action(async (runId: string, options: CommonOptions) => {
    const run = await (await connect(needs, options)).call(api.runs.read, { runId })
    if (options.json) return terminal.json(run)
    terminal.write(runText(run, terminal.columns))
  })
}

type StartOptions = CommonOptions & {
  readonly input?: string
  readonly plan?: string
  readonly idempotencyKey?: string
  readonly watch?: boolean
}

function startCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'start [flow]',
    summary: 'Start a flow or a plan as a durable run',
    examples: [
      'keyward runs start --plan deploy.yaml --watch',
      'keyward runs start leaked-key --input input.json --watch',
      `echo '{"findingIds":["fnd_01"]}' | keyward runs start leaked-key --input -`,
    ],
  })
    .option('--input <file>', 'JSON object for the flow; - is standard input')
    .option('--plan <file>', 'a plan in YAML or JSON instead of a flow; - is standard input')
    .option('--idempotency-key <key>', 'the same key starts it once, however often it is sent')
    .option('--watch', 'follow it to its end')
    .action(async (flow: string | undefined, given: StartOptions) => {
      const { input, plan, idempotencyKey, watch, ...options } = given
      const wanted =
        plan === undefined
          ? { flow, input: input === undefined ? {} : await readInput(needs.terminal, input) }
          : { flow, plan: await readPlan(needs.terminal, plan) }
      const client = await connect(needs, options)
      const run = await client.call(api.runs.start, { ...wanted, idempotencyKey })
      const last = watch ? await followRun(needs.terminal, client, run.id) : run
      finish(needs, options, last)
    })
}

function watchCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'watch <runId>',
    summary: 'Follow a run to its end',
    details: 'Exit code 0 when it succeeded, 1 when it failed or was cancelled.',
    examples: ['keyward runs watch run_01', 'keyward runs watch run_01 && ./after.sh'],
  }).action(async (runId: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    finish(needs, options, await followRun(needs.terminal, client, runId))
  })
}

type LogsOptions = CommonOptions & { readonly task?: string; readonly follow?: boolean }

function logsCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'logs <runId>',
    summary: "What a run's tasks print in their sandboxes, with lent values taken out",
    details:
      'Each line stands behind the id of its task, in the order of time; of one task that is named, what it printed stands alone. Standard output goes to standard output, standard error to standard error. The server keeps the end of it until it restarts.',
    examples: ['keyward runs logs run_01 --follow', 'keyward runs logs run_01 --task agent'],
  })
    .option('--task <taskId>', 'of this task alone')
    .option('-f, --follow', 'go on until the run, or the task, has ended')
    .action(async (runId: string, { task, follow = false, ...options }: LogsOptions) => {
      const client = await connect(needs, options)
      const how = { runId, follow, json: options.json ?? false }
      if (task === undefined) await writeRunLogs({ terminal, client }, how)
      else await followOutput(terminal, client, { ...how, taskId: task })
    })
}

/** The end of a run as a result: for scripts the exit code tells it. */
function finish({ terminal, answer }: Needs, options: CommonOptions, run: RunDetail): void {
  if (options.json) terminal.json(run)
  else terminal.write(runText(run, terminal.columns))
  if (endedBadly(run)) answer(exitNegative)
}

const carriers = { embedded: 'the server', temporal: 'Temporal' } as const

function runText(run: RunDetail, columns: number | undefined): string {
  const facts = renderFacts([
    ['Run', run.id],
    ['Title', run.title],
    ['Flow', run.flow],
    ['State', run.reason ? `${run.state}: ${run.reason}` : run.state],
    ['Outcome', run.outcome ?? null],
    ['Requested by', `${run.requestedBy}${run.unattended ? ', unattended' : ''}`],
    ['Carried by', run.host ? carriers[run.host] : null],
    ['Created', run.createdAt],
    ['Finished', run.finishedAt],
    ['Plan digest', run.planDigest],
  ])
  const tasks: Column<TaskView>[] = [
    { title: 'task', value: ({ id }) => id },
    { title: 'state', value: ({ state }) => state },
    { title: 'title', value: ({ title }) => title, shrink: true },
    { title: 'needs', value: ({ needs }) => needs.join(' ') || null, shrink: true },
    { title: 'approval', value: ({ approvalId }) => approvalId },
    { title: 'reason', value: ({ reason }) => reason, shrink: true },
  ]
  return `${facts}\n${renderTable(tasks, run.tasks, columns)}`
}
