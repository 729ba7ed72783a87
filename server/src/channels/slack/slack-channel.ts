import {
  type FetchFunction,
  LogLevel,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebClient,
} from '@slack/web-api'
import { reasonOf } from '../../core/index.ts'
import {
  type Call,
  type Channel,
  type ChannelParts,
  type Notice,
  type Outcome,
  retryAfterOf,
} from '../channel.ts'
import type { Settings } from '../settings.ts'
import { slackMessage } from './message.ts'

/** Errors of Slack's own that pass by themselves: https://docs.slack.dev/reference/methods/chat.postMessage#errors */
const passing = new Set([
  'ratelimited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
])
const isReminder = ({ event, stage }: Notice): boolean =>
  stage !== 'closed' && (event === 'approval.reminded' || event === 'approval.escalated')
/** The token is not one, or not any more. */
const strangers = new Set([
  'invalid_auth',
  'not_authed',
  'token_revoked',
  'token_expired',
  'account_inactive',
])
const gone = new Set(['message_not_found', 'cant_update_message'])

/** One message for each subject, updated as it goes on. Its reference is `<conversation> <time stamp>`. */
export function slackChannel(parts: ChannelParts<Settings['slack']>): Channel {
  const { settings, now } = parts
  const client = slackClient(parts)

  async function post(message: ReturnType<typeof slackMessage>): Promise<Outcome> {
    const { channel, ts } = await client.chat.postMessage({
      channel: settings.conversation,
      unfurl_links: false,
      unfurl_media: false,
      ...message,
    })
    return { state: 'sent', reference: `${channel ?? settings.conversation} ${ts ?? ''}` }
  }

  return {
    async deliver(notice, { reference }) {
      const message = slackMessage(notice)
      try {
        if (reference === null) return await post(message)
        const [channel = '', ts = ''] = reference.split(' ')
        await client.chat.update({ channel, ts, ...message })
        // A change of a message rings nobody's bell.
        if (isReminder(notice))
          await client.chat.postMessage({ channel, thread_ts: ts, reply_broadcast: true, text: message.text })
        return { state: 'sent', reference }
      } catch (error) {
        if (reference !== null && error instanceof WebAPIPlatformError && gone.has(error.data.error))
          return post(message).catch((second: unknown) => outcomeOf(second, now()))
        return outcomeOf(error, now())
      }
    },
    async probe() {
      await client.auth.test().catch((error: unknown) => {
        const outcome = outcomeOf(error, now())
        throw new Error(outcome.state === 'sent' ? '' : outcome.problem, { cause: error })
      })
    },
  }
}

/** Says something to one person of a conversation, who alone sees it. */
export async function whisper(
  parts: ChannelParts<Settings['slack']>,
  { channel, user, text }: { channel: string; user: string; text: string },
): Promise<void> {
  await slackClient(parts).chat.postEphemeral({ channel, user, text })
}

/** Tries once, and waits for nothing: when to try again is on disk. */
export const slackClient = ({ settings, secret, call }: ChannelParts<Settings['slack']>): WebClient =>
  new WebClient(secret('bot-token').reveal(), {
    slackApiUrl: settings.apiUrl,
    allowAbsoluteUrls: false,
    logLevel: LogLevel.ERROR,
    logger: silent,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    fetch: fetchBy(call),
  })

const nothing = (): void => undefined
const silent = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  setLevel: nothing,
  getLevel: () => LogLevel.ERROR,
  setName: nothing,
}

/** The client's requests go the way of all of a channel's: to addresses that it may have. */
const fetchBy =
  (call: Call): FetchFunction =>
  async (url, { method = 'POST', headers = {}, body = '', signal } = {}) => {
    if (typeof body !== 'string') throw new Error('files are not sent')
    const answer = await call({
      url: String(url),
      method: method === 'GET' ? 'GET' : 'POST',
      headers,
      body,
      signal,
    })
    return new Response(answer.text === '' ? null : answer.text, {
      status: answer.status,
      headers: Object.entries(answer.headers).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value] as [string, string]] : [],
      ),
    })
  }

/** What the service says of a failure, never what was sent. */
export function outcomeOf(error: unknown, now: Date): Outcome {
  if (error instanceof WebAPIRateLimitedError)
    return {
      state: 'later',
      problem: 'Slack asks to wait',
      status: 429,
      retryAfterSeconds: Math.min(error.retryAfter, 86_400),
    }
  if (error instanceof WebAPIPlatformError) {
    const problem = `Slack answered ${error.data.error}`
    if (passing.has(error.data.error)) return { state: 'later', problem }
    return { state: 'never', problem, status: strangers.has(error.data.error) ? 401 : 400 }
  }
  if (error instanceof WebAPIHTTPError) {
    const retryAfterSeconds = retryAfterOf(error.headers, now)
    return {
      state: 'later',
      problem: `Slack answered with HTTP status ${error.statusCode}`,
      retryAfterSeconds,
    }
  }
  return { state: 'later', problem: reasonOf(error), unheard: true }
}
