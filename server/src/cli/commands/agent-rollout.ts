import { api, type Phase, type RolloutView } from '@keyward/contract'
import { type Command, Option } from 'commander'
import { AppError } from '../../core/index.ts'
import { agentIdOf } from '../agent-id.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'
import { renderFacts } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

const phases: readonly Phase[] = ['read-only', 'non-critical', 'production']

export function phaseCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'phase <agent>',
    summary: 'How far an agent is let, and on what evidence; with --to, let it further or less far',
    details: 'An agent goes up by one phase at a time, and only by a person.',
    examples: [
      'keyward agents phase shop-bot',
      'keyward agents phase shop-bot --to non-critical --reason "Three clean weeks"',
    ],
  })
    .addOption(new Option('--to <phase>', 'the new phase').choices(phases))
    .option('--reason <text>', 'why; recorded')
    .action(async (agent: string, options: CommonOptions & { to?: Phase; reason?: string }) => {
      const client = await connect(needs, options)
      const agentId = await agentIdOf(client, agent)
      const { to: phase, reason } = options
      if (phase === undefined) return show(needs, options, await client.call(api.rollout.read, { agentId }))
      if (reason === undefined) throw new AppError('request.invalid', 'say why with --reason; it is recorded')
      show(needs, options, await client.call(api.rollout.setPhase, { agentId, phase, reason }))
      if (!options.json) terminal.note(`${agent} is in the phase ${phase}.`)
    })
}

export function observeCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'observe <agent>',
    summary: 'Judge and show what an agent asks for, and execute nothing of it',
    examples: [
      'keyward agents observe shop-bot --reason "Its first week"',
      'keyward agents observe shop-bot --off --reason "It asks for sensible things"',
    ],
  })
    .option('--off', 'execute again what it asks for, as far as its phase goes')
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (agent: string, options: CommonOptions & { off?: boolean; reason: string }) => {
      const client = await connect(needs, options)
      const agentId = await agentIdOf(client, agent)
      const observed = options.off !== true
      show(
        needs,
        options,
        await client.call(api.rollout.observe, { agentId, observed, reason: options.reason }),
      )
    })
}

function show({ terminal }: Needs, options: CommonOptions, view: RolloutView): void {
  if (options.json) {
    terminal.json(view)
    return
  }
  const { evidence } = view
  terminal.write(
    renderFacts([
      ['Agent', `${view.agentName} (${view.agentId})`],
      ['Phase', view.phase],
      ['Observed', view.observed ? 'yes: nothing that it asks for is executed' : 'no'],
      ['Since', `${view.since} by ${view.by}: ${view.reason}`],
      ['Evidence since', evidence.since],
      ['Runs', `${evidence.succeeded} succeeded, ${evidence.failed} failed, ${evidence.cancelled} cancelled`],
      ['Observed runs', evidence.observed],
      ['Denied by people', evidence.denials],
      ['Violations', `${evidence.violations} in ${evidence.days} days`],
      ['Next phase', view.next ?? 'none: this is the last one'],
      ...(view.next === null ? [] : [['Promotion', view.hindrance ?? 'a person may'] as const]),
    ]),
  )
}
