import { api, type SandboxView } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { shortTime } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderTable } from '../table.ts'
import { imageCommand } from './sandbox-image.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const sandboxCommand = (needs: Needs): Command =>
  commandGroup('sandbox', 'Sandboxes that run now, and the images that they can have', [
    listCommand(needs),
    endCommand(needs),
    imageCommand(needs),
  ])

const megabyte = 1024 ** 2
const megabytes = (bytes: number): string => (bytes / megabyte).toFixed(bytes < 10 * megabyte ? 1 : 0)

/** `12/512`: used of what is allowed; only what is allowed where the use is not known. */
const part = (used: number | null | undefined, of: number, show: (amount: number) => string = String) =>
  used === null || used === undefined ? `-/${show(of)}` : `${show(used)}/${show(of)}`

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<SandboxView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'agent', value: ({ agentId }) => agentId },
    { title: 'run', value: ({ runId }) => runId },
    { title: 'task', value: ({ taskId }) => taskId },
    { title: 'driver', value: ({ driver }) => driver },
    { title: 'image', value: ({ image }) => image ?? '-' },
    { title: 'since', value: ({ startedAt }) => shortTime(startedAt) },
    {
      title: 'cpu s',
      value: ({ usage, limits }) =>
        part(usage?.cpuSeconds, limits.cpuSeconds, (seconds) => seconds.toFixed(seconds < 10 ? 1 : 0)),
      align: 'right',
    },
    {
      title: 'memory mib',
      value: ({ usage, limits }) => part(usage?.memoryBytes, limits.memoryBytes, megabytes),
      align: 'right',
    },
    {
      title: 'disk mib',
      value: ({ usage, limits }) => part(usage?.diskBytes, limits.diskBytes, megabytes),
      align: 'right',
    },
    {
      title: 'processes',
      value: ({ usage, limits }) => part(usage?.processes, limits.processes),
      align: 'right',
    },
    { title: 'command', value: ({ command }) => command.join(' '), shrink: true },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Sandboxes that run now, with what each uses of its limits',
    examples: ['keyward sandbox list', 'keyward sandbox list --json'],
  }).action(async (options: CommonOptions) => {
    const running = await (await connect(needs, options)).call(api.sandboxes.list, {})
    if (options.json) terminal.json(running)
    else if (running.items.length === 0) terminal.note('None.')
    else terminal.write(renderTable(columns, running.items, terminal.columns))
    if (!options.json && running.waiting)
      terminal.note(`${running.waiting} more started ahead, for the next tasks.`)
  })
}

function endCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'end <sandboxId>',
    summary: 'End a sandbox now, with every process in it; its task fails with the reason',
    examples: ['keyward sandbox end run_01-agent-1 --reason "It calls the API too often"'],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (sandboxId: string, options: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      const ended = await client.call(api.sandboxes.end, { sandboxId, reason: options.reason })
      if (options.json) terminal.json(ended)
      else terminal.note(`Sandbox ${ended.id} is being ended.`)
    })
}
