import { api, type Json } from '@keyward/contract'
import { type Command, InvalidArgumentError } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'
import { approvalText } from './approval-text.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type Options = CommonOptions & { args: Json; reason: string; digest?: string }

/** Other arguments for what waits; the answer is given to the question that comes of it. */
export function changeCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'change <approvalId>',
    summary: 'Ask with other arguments instead; then answer the new question',
    details:
      'Takes all arguments, as JSON. They must be what the action takes, for the same target and with no other secrets. The\n' +
      'question before ends; the new one has a digest of its own. "keyward approvals show ID --json" has the arguments in\n' +
      '"subject".',
    examples: [`keyward approvals change apr_01 --args '{"replicas":2}' --reason "Three are too many"`],
  })
    .requiredOption('--args <json>', 'all arguments', argumentsOption)
    .requiredOption('--reason <text>', 'why; recorded')
    .option('--digest <hex>', 'only if this is still what is asked')
    .action(async (approvalId: string, { args, reason, digest, ...options }: Options) => {
      const client = await connect(needs, options)
      const shown = await client.call(api.approvals.read, { approvalId })
      if (digest !== undefined && digest !== shown.digest)
        throw new AppError('approval.void', `${approvalId} has the digest ${shown.digest}. Review it again`)
      const given = { approvalId, digest: shown.digest, args, reason }
      const changed = await client.call(api.approvals.change, given)
      if (options.json) return terminal.json(changed)
      terminal.write(approvalText(changed))
      terminal.note(`Next: keyward approve ${changed.id}`)
    })
}

function argumentsOption(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidArgumentError('It must be JSON.')
  }
}
