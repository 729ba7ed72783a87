import { api, type RunDetail } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { readJson } from '../input.ts'
import type { CommandNeeds } from '../needs.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

/** What a person does to a run that exists. */
export const steeringCommands = (needs: Needs): Command[] => [
  cancelCommand(needs),
  pauseCommand(needs),
  resumeCommand(needs),
  retryCommand(needs),
  resolveCommand(needs),
]

function told({ terminal }: Needs, { json }: CommonOptions, run: RunDetail): void {
  if (json) terminal.json(run)
  else terminal.note(`Run ${run.id} is ${run.state}.`)
}

function cancelCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'cancel <runId>',
    summary: 'Cancel a run; tasks that have not started never will',
    examples: ['keyward runs cancel run_01'],
  }).action(async (runId: string, options: CommonOptions) => {
    told(needs, options, await (await connect(needs, options)).call(api.runs.cancel, { runId }))
  })
}

function pauseCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'pause <runId>',
    summary: 'Begin nothing more of a run; what runs ends by itself',
    examples: ['keyward runs pause run_01 --reason "the release waits for the fix"'],
  })
    .option('--reason <words>', 'shown with the run')
    .action(async (runId: string, { reason, ...options }: CommonOptions & { reason?: string }) => {
      told(needs, options, await (await connect(needs, options)).call(api.runs.pause, { runId, reason }))
    })
}

function resumeCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'resume <runId>',
    summary: 'Go on with a paused run',
    examples: ['keyward runs resume run_01'],
  }).action(async (runId: string, options: CommonOptions) => {
    told(needs, options, await (await connect(needs, options)).call(api.runs.resume, { runId }))
  })
}

function retryCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'retry <runId>',
    summary: 'Go on with a run that failed or was cancelled',
    details: 'What succeeded stays done, what was undone is done again, and approvals are asked for anew.',
    examples: ['keyward runs retry run_01', 'keyward runs retry run_01 --task deploy'],
  })
    .option('--task <taskId>', 'from this task on (default: all that failed or were cancelled)')
    .action(async (runId: string, { task, ...options }: CommonOptions & { task?: string }) => {
      const client = await connect(needs, options)
      told(needs, options, await client.call(api.runs.retry, { runId, taskId: task }))
    })
}

type ResolveOptions = CommonOptions & {
  readonly effect: 'done' | 'none'
  readonly reason: string
  readonly output?: string
}

function resolveCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'resolve <runId> <taskId>',
    summary: 'Say whether a task whose outcome is unknown had its effect',
    details: 'Look at the service first: what is said here is taken for the truth, with your name.',
    examples: [
      'keyward runs resolve run_01 merge --effect done --reason "the pull request is merged"',
      'keyward runs resolve run_01 merge --effect none --reason "it is still open"',
    ],
  })
    .addOption(
      new Option('--effect <effect>', 'done: it happened; none: it did not, and the task runs again')
        .choices(['done', 'none'])
        .makeOptionMandatory(),
    )
    .requiredOption('--reason <words>', 'how you know')
    .option('--output <file>', 'for done: JSON that later tasks take from it; - is standard input')
    .action(async (runId: string, taskId: string, { effect, reason, output, ...options }: ResolveOptions) => {
      const given = output === undefined ? undefined : await readJson(needs.terminal, output)
      const client = await connect(needs, options)
      const said = { runId, taskId, effect, reason, output: given }
      told(needs, options, await client.call(api.runs.resolve, said))
    })
}
