import { hash } from 'node:crypto'
import { z } from 'zod'
import { AppError, type Log, reasonOf } from '../../core/index.ts'
import type { Call } from '../channel.ts'
import type { Answered, Inbound, InboundNeeds, Reply } from '../inbound.ts'
import type { Settings } from '../settings.ts'
import { approveVerb, denyVerb } from './card.ts'
import type { BotTokens } from './token.ts'

type Bot = NonNullable<Settings['teams']['bot']>
type Needs = {
  inbound: InboundNeeds
  log: Log
  tokens: BotTokens
  bots: readonly { readonly bot: Bot; readonly call: Call; readonly say: (text: string) => Promise<void> }[]
}

const short = z.string().min(1).max(300)
const activity = z.object({
  type: z.string().max(100),
  id: short,
  name: z.string().max(200).optional(),
  channelId: z.literal('msteams'),
  serviceUrl: z.string().max(500),
  from: z.object({ id: short, aadObjectId: z.string().max(100).optional() }),
  conversation: z.object({ id: short, tenantId: z.string().max(100).optional() }),
  channelData: z.object({ tenant: z.object({ id: short }).optional() }).optional(),
  text: z.string().max(5000).optional(),
  value: z.unknown().optional(),
})
type Activity = z.output<typeof activity>

const executed = z.object({
  action: z.object({
    verb: z.string().max(100),
    data: z.object({ approvalId: short, digest: z.string().regex(/^[0-9a-f]{64}$/) }),
  }),
})
const decisions: Readonly<Record<string, 'approved' | 'denied'>> = {
  [approveVerb]: 'approved',
  [denyVerb]: 'denied',
}

/** An activity of the Bot Framework. Throws `channel.unsigned`, `channel.repeated`, `channel.unavailable`. */
export async function receiveTeams(request: Inbound, needs: Needs): Promise<Reply> {
  const { inbound, log } = needs
  const { bot, said } = await verified(request, needs)
  await inbound.assertNew(`teams ${said.id} ${hash('sha256', request.body)}`)
  const who = whoOf(said)
  if (said.type === 'invoke' && said.name === 'adaptiveCard/action')
    return told(await answered(said, who, inbound))
  if (said.type === 'message' && said.text !== undefined) {
    const { words } = await inbound.command(who, plainOf(said.text))
    bot
      .say(words)
      .catch((error: unknown) =>
        log.warn({ reason: reasonOf(error) }, 'a command could not be answered in Teams'),
      )
  }
  return { status: 200, body: {} }
}

/** The bot that it is for: each is tried with its own app id, and the address of the service has to be the one that is configured. */
async function verified({ headers, body }: Inbound, { tokens, bots }: Needs) {
  const header = typeof headers['authorization'] === 'string' ? headers['authorization'] : ''
  let refusal = new AppError('channel.unsigned', 'nobody listens here')
  for (const one of bots) {
    const { appId, openIdMetadataUrl, serviceUrl } = one.bot
    try {
      const shown = await tokens.verify(header, { call: one.call, appId, openIdMetadataUrl })
      const said = activityOf(body)
      if (!sameAddress(shown, said.serviceUrl) || !sameAddress(shown, serviceUrl))
        throw new AppError('channel.unsigned', 'its token is for another service address')
      return { bot: one, said }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'channel.unsigned') throw error
      refusal = error
    }
  }
  throw refusal
}

const sameAddress = (a: string, b: string): boolean => a.replace(/\/+$/, '') === b.replace(/\/+$/, '')

function activityOf(body: Buffer): Activity {
  try {
    return activity.parse(JSON.parse(body.toString()))
  } catch {
    throw new AppError('request.invalid', 'it is no activity of Teams')
  }
}

/** The object id of the directory, which no user can choose; of guests that have none, the id of the chat. */
const whoOf = ({ from, conversation, channelData }: Activity) => ({
  kind: 'teams' as const,
  workspace: channelData?.tenant?.id ?? conversation.tenantId ?? 'unknown',
  account: from.aadObjectId ?? from.id,
})

async function answered(
  { value }: Activity,
  who: ReturnType<typeof whoOf>,
  inbound: InboundNeeds,
): Promise<Answered> {
  const read = executed.safeParse(value)
  const decision = read.success ? decisions[read.data.action.verb] : undefined
  if (!read.success || !decision)
    return { ok: false, words: 'Nothing was decided: this button is not known.' }
  return inbound.answer({ who, decision, ...read.data.action.data })
}

/** Shown to who has pressed the button: https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model */
const told = ({ words }: Answered): Reply => ({
  status: 200,
  body: { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value: words },
})

/** A mention of the bot stands in front of what is written to it. */
const plainOf = (text: string): string => text.replace(/<at>[^<]*<\/at>/g, ' ').trim()
