import { type AgentView, api } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Column } from '../table.ts'
import { certificateCommand, certificatesCommand, revokeCertificateCommand } from './agent-certificates.ts'
import { imageOfAgentCommand } from './agent-image.ts'
import { observeCommand, phaseCommand } from './agent-rollout.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd'>

export const agentsCommand = (needs: Needs): Command =>
  commandGroup('agents', 'Agents: register, quarantine, activate, certificates, phases, images', [
    listCommand(needs),
    registerCommand(needs),
    quarantineCommand(needs),
    activateCommand(needs),
    certificateCommand(needs),
    certificatesCommand(needs),
    revokeCertificateCommand(needs),
    phaseCommand(needs),
    observeCommand(needs),
    imageOfAgentCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<AgentView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'name', value: ({ name }) => name },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => terminal.tint(state === 'active' ? 'green' : 'red', text),
    },
    { title: 'leases', value: ({ activeLeases }) => activeLeases, align: 'right' },
    { title: 'last used', value: ({ lastUsedAt }) => shortTime(lastUsedAt) },
    { title: 'owner', value: ({ owner }) => owner, shrink: true },
    { title: 'description', value: ({ description }) => description, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Registered agents',
      examples: ['keyward agents list', 'keyward agents list --all --json'],
    }),
  ).action(async (options: ListOptions) => {
    const client = await connect(needs, options)
    await showList(terminal, options, columns, (paging) => client.call(api.agents.list, paging))
  })
}

function registerCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'register <name>',
    summary: 'Register an agent; its API key is shown once',
    details:
      'The key goes to standard output and nothing else does, so that it can be sent on to where it belongs.',
    examples: [
      'keyward agents register shop-bot --description "Restocks the shop"',
      'keyward agents register shop-bot > shop-bot.key',
      'keyward agents register deploy-bot --runs',
    ],
  })
    .option('--description <text>', 'what it does', '')
    .option('--runs', 'it may also ask for runs, as far as its phase lets it')
    .action(async (name: string, options: CommonOptions & { description: string; runs?: boolean }) => {
      const client = await connect(needs, options)
      const { description } = options
      const scopes = options.runs ? (['leases', 'runs'] as const) : undefined
      const answer = await client.call(api.agents.register, {
        name,
        description,
        ...(scopes ? { scopes: [...scopes] } : {}),
      })
      if (options.json) return terminal.json(answer)
      terminal.note(`Registered ${answer.agent.name} (${answer.agent.id}). Its API key is shown this once:`)
      terminal.write(`${answer.apiKey}\n`)
    })
}

function quarantineCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'quarantine <agentId>',
    summary: 'Stop an agent: its key is refused and its leases are revoked',
    examples: ['keyward agents quarantine agt_01 --reason "It calls hosts that it should not"'],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (agentId: string, options: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      const agent = await client.call(api.agents.quarantine, { agentId, reason: options.reason })
      if (options.json) return terminal.json(agent)
      terminal.note(`${agent.name} is ${agent.state}; ${agent.activeLeases} of its leases are active.`)
    })
}

function activateCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'activate <agentId>',
    summary: 'Let a quarantined agent work again',
    examples: ['keyward agents activate agt_01'],
  }).action(async (agentId: string, options: CommonOptions) => {
    const agent = await (await connect(needs, options)).call(api.agents.activate, { agentId })
    if (options.json) return terminal.json(agent)
    terminal.note(`${agent.name} is ${agent.state}.`)
  })
}
