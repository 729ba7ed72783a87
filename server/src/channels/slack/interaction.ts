import { z } from 'zod'
import { AppError } from '../../core/index.ts'
import type { ChatAccount } from '../accounts-store.ts'
import type { ChatAnswer } from '../inbound.ts'
import { approveAction, denyAction } from './message.ts'

/** What somebody did in Slack: wrote a command, or pressed a button. */
export type SlackInteraction =
  | { readonly kind: 'command'; readonly who: ChatAccount; readonly text: string }
  | {
      readonly kind: 'answer'
      readonly answer: ChatAnswer
      readonly conversation: string
      readonly user: string
    }
  /** A button that only leads somewhere, or something else that needs no answer. */
  | { readonly kind: 'nothing' }

const short = z.string().min(1).max(100)
const pressed = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id: short }),
  team: z.object({ id: short }),
  channel: z.object({ id: short }),
  actions: z
    .array(z.object({ action_id: z.string().max(255), value: z.string().max(2000).optional() }))
    .min(1),
})
const command = z.object({ team_id: short, user_id: short, text: z.string().max(1000) })

/** https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/ and …/interactivity/implementing-slash-commands/ */
export function readInteraction(body: Buffer): SlackInteraction {
  const form = new URLSearchParams(body.toString())
  const payload = form.get('payload')
  if (payload === null) return readCommand(form)
  const read = pressed.safeParse(parsed(payload))
  if (!read.success) return { kind: 'nothing' }
  const { user, team, channel, actions } = read.data
  const [action] = actions
  const decision = action && decisions[action.action_id]
  const [approvalId = '', digest = ''] = action?.value?.split(' ') ?? []
  if (!decision || !/^[0-9a-f]{64}$/.test(digest)) return { kind: 'nothing' }
  const who = { kind: 'slack', workspace: team.id, account: user.id } as const
  const answer = { who, approvalId, digest, decision }
  return { kind: 'answer', answer, conversation: channel.id, user: user.id }
}

const decisions: Readonly<Record<string, ChatAnswer['decision']>> = {
  [approveAction]: 'approved',
  [denyAction]: 'denied',
}

function readCommand(form: URLSearchParams): SlackInteraction {
  const read = command.safeParse(Object.fromEntries(form))
  if (!read.success)
    throw new AppError('request.invalid', 'it is neither a command nor an interaction of Slack')
  const { team_id, user_id, text } = read.data
  return { kind: 'command', who: { kind: 'slack', workspace: team_id, account: user_id }, text }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new AppError('request.invalid', 'its payload is no JSON')
  }
}
