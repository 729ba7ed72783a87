import { z } from 'zod'
import { type Channel, type ChannelParts, type Outcome, outcomeOf } from '../channel.ts'
import type { Settings } from '../settings.ts'
import { cardOf, cardType } from './card.ts'

type Parts = ChannelParts<Settings['teams']>
type Bot = NonNullable<Settings['teams']['bot']>

/** Through a bot, which can be answered and updates its cards; else to the address of a workflow, where a card only links to the page. */
export const teamsChannel = (parts: Parts): Channel =>
  parts.settings.bot ? botChannel(parts, parts.settings.bot) : workflowChannel(parts)

const messageOf = (card: object): string =>
  JSON.stringify({ type: 'message', attachments: [{ contentType: cardType, content: card }] })

function workflowChannel({ secret, call, now }: Parts): Channel {
  // Who knows the address may post, so it is kept as a secret.
  const send = (body: string, signal: AbortSignal) =>
    call({
      url: secret('webhook-url').reveal(),
      headers: { 'content-type': 'application/json' },
      body,
      signal,
    })
  return {
    async deliver(notice, { signal }) {
      const answer = await send(messageOf(cardOf(notice, { answers: false })), signal)
      return outcomeOf(answer, { now: now(), gone: [400, 401, 403, 404, 410] })
    },
    /** A workflow cannot be asked without posting. */
    async probe(signal) {
      await call({ url: new URL(secret('webhook-url').reveal()).origin, method: 'GET', signal })
    },
  }
}

const tokenAnswer = z.object({ access_token: z.string().min(1) })
const activityAnswer = z.object({ id: z.string().min(1) })

/** https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-send-and-receive-messages */
function botChannel(parts: Parts, bot: Bot): Channel {
  const { now } = parts
  return {
    async deliver(notice, { reference, signal }): Promise<Outcome> {
      const token = await botToken(parts, bot, signal)
      if (typeof token !== 'string') return token
      const body = messageOf(cardOf(notice, { answers: true }))
      const path = reference === null ? '' : `/${encodeURIComponent(reference)}`
      const answer = await sendActivity(parts, bot, { token, body, path, signal })
      if (reference !== null && answer.status === 404)
        return posted(await sendActivity(parts, bot, { token, body, signal }))
      if (reference === null) return posted(answer)
      const outcome = outcomeOf(answer, failures(now()))
      return outcome.state === 'sent' ? { ...outcome, reference } : outcome
    },
    async probe(signal) {
      const token = await botToken(parts, bot, signal)
      if (typeof token !== 'string') throw new Error(token.problem)
    },
  }

  function posted(answer: Awaited<ReturnType<typeof parts.call>>): Outcome {
    const outcome = outcomeOf(answer, failures(now()))
    if (outcome.state !== 'sent') return outcome
    const read = activityAnswer.safeParse(jsonOf(answer.text))
    return { state: 'sent', reference: read.data?.id ?? null }
  }
}

const failures = (now: Date) => ({ now, gone: [400, 401, 403, 404] })

/** Says something to the conversation; for what a person has written to the bot. */
export async function say(parts: Parts, bot: Bot, text: string): Promise<void> {
  const signal = AbortSignal.timeout(10_000)
  const token = await botToken(parts, bot, signal)
  if (typeof token !== 'string') throw new Error(token.problem)
  await sendActivity(parts, bot, {
    token,
    body: JSON.stringify({ type: 'message', text, textFormat: 'plain' }),
    signal,
  })
}

type Activity = { token: string; body: string; path?: string; signal: AbortSignal }

function sendActivity({ call }: Parts, bot: Bot, { token, body, path = '', signal }: Activity) {
  const base = bot.serviceUrl.endsWith('/') ? bot.serviceUrl : `${bot.serviceUrl}/`
  return call({
    url: `${base}v3/conversations/${encodeURIComponent(bot.conversationId)}/activities${path}`,
    method: path === '' ? 'POST' : 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
    signal,
  })
}

/** Client credentials: https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication */
async function botToken({ secret, call, now }: Parts, bot: Bot, signal: AbortSignal) {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: bot.appId,
    client_secret: secret('app-password').reveal(),
    scope: 'https://api.botframework.com/.default',
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await call({ url: bot.tokenUrl, headers, body: form.toString(), signal })
  const outcome = outcomeOf(answer, { now: now(), gone: [400, 401, 403] })
  if (outcome.state !== 'sent') return outcome
  const read = tokenAnswer.safeParse(jsonOf(answer.text))
  if (read.success) return read.data.access_token
  return { state: 'later', problem: 'the token of the bot came without a token' } as const
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What is no JSON has none of the fields that are looked for.
    return undefined
  }
}
