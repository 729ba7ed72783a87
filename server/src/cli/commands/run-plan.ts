import { api, type PlanPreview, type TaskPreview } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { readInput } from '../input.ts'
import type { CommandNeeds } from '../needs.ts'
import { readPlan } from '../plan-file.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

type PlanOptions = CommonOptions & { readonly flow?: string; readonly input?: string }

/** What a plan would do, before anything runs. */
export function planCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'plan [file]',
    summary: 'Check a plan, or a flow with its input, and show what each task would do; nothing runs',
    examples: ['keyward runs plan deploy.yaml', 'keyward runs plan --flow leaked-key --input input.json'],
  })
    .option('--flow <flow>', 'a flow instead of a file')
    .option('--input <file>', 'JSON object for the flow; - is standard input')
    .action(async (file: string | undefined, { flow, input, ...options }: PlanOptions) => {
      const { terminal } = needs
      const wanted =
        file === undefined
          ? { flow, input: input === undefined ? {} : await readInput(terminal, input) }
          : { flow, plan: await readPlan(terminal, file) }
      const shown = await (await connect(needs, options)).call(api.runs.plan, wanted)
      if (options.json) return terminal.json(shown)
      terminal.write(previewText(shown, terminal.columns))
    })
}

function previewText(
  { plan, planDigest, tasks, expectedSeconds }: PlanPreview,
  columns: number | undefined,
): string {
  const facts = renderFacts([
    ['Title', plan.title],
    ['Goal', plan.goal ?? null],
    ['Expected', duration(expectedSeconds)],
    ['Plan digest', planDigest],
  ])
  const rows: Column<TaskPreview>[] = [
    { title: 'task', value: ({ id }) => id },
    { title: 'action', value: ({ action }) => action },
    { title: 'target', value: ({ target }) => target, shrink: true },
    { title: 'risk', value: ({ risk }) => risk },
    { title: 'asks', value: ({ gated }) => (gated ? 'yes' : null) },
    {
      title: 'undone by',
      value: ({ reversible, rollback }) => rollback ?? (reversible ? null : 'nothing'),
      shrink: true,
    },
    { title: 'permissions', value: ({ permissions }) => permissions.join(' ') || null, shrink: true },
    { title: 'secrets', value: ({ secrets }) => secrets.join(' ') || null, shrink: true },
    { title: 'takes', value: ({ expectedSeconds: seconds }) => duration(seconds), align: 'right' },
  ]
  return `${facts}\n${renderTable(rows, tasks, columns)}`
}

const duration = (seconds: number | null): string | null =>
  seconds === null
    ? null
    : seconds < 120
      ? `${Math.round(seconds * 10) / 10} s`
      : `${Math.round(seconds / 60)} min`
