import { api } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { agentIdOf } from '../agent-id.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type Options = CommonOptions & { readonly set?: string; readonly none?: boolean }

export function imageOfAgentCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'image <agent>',
    summary:
      'In which image the commands of an agent run unless their task names another; with --set, another one',
    examples: [
      'keyward agents image shop-bot',
      'keyward agents image shop-bot --set node',
      'keyward agents image shop-bot --none',
    ],
  })
    .option('--set <image>', 'one of keyward sandbox image list')
    .option('--none', 'the files of the machine')
    .action(async (agent: string, { set, none, ...options }: Options) => {
      if (set !== undefined && none)
        throw new AppError('request.invalid', 'Say either --set IMAGE or --none.')
      const client = await connect(needs, options)
      const agentId = await agentIdOf(client, agent)
      const changed = set !== undefined || none
      if (changed) await client.call(api.images.assign, { agentId, image: set ?? null })
      const { items } = await client.call(api.images.list, {})
      const image = items.find(({ agents }) => agents.includes(agentId))?.name ?? null
      if (options.json) return terminal.json({ agentId, image })
      terminal.write(`${image ?? "the machine's own files"}\n`)
    })
}
