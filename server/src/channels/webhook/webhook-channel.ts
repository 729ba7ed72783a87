import { createHmac } from 'node:crypto'
import { AppError, type Secret } from '../../core/index.ts'
import { type Channel, type ChannelParts, type Notice, outcomeOf } from '../channel.ts'
import type { Settings } from '../settings.ts'

/** Signed as https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md says. */
export function webhookChannel({ settings, secret, call, now }: ChannelParts<Settings['webhook']>): Channel {
  const keys = (): Buffer[] => [keyOf(secret('key')), ...optional(() => keyOf(secret('previous-key')))]

  const send = (id: string, body: string, signal: AbortSignal) => {
    const seconds = String(Math.floor(now().getTime() / 1000))
    const signatures = keys().map((key) => `v1,${signatureOf(key, { id, seconds, body })}`)
    return call({
      url: settings.url,
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': seconds,
        'webhook-signature': signatures.join(' '),
      },
      body,
      signal,
    })
  }

  return {
    async deliver(notice, { id, signal }) {
      return outcomeOf(await send(id, bodyOf(notice), signal), { now: now(), gone: [410] })
    },
    /** Nothing can be asked of such an address without telling it something: only whether it answers at all. */
    async probe(signal) {
      keys()
      await call({ url: settings.url, method: 'GET', signal })
    },
  }
}

function bodyOf(notice: Notice): string {
  const { event, subject, at, title, risk, stage, link, data } = notice
  return JSON.stringify({
    type: event,
    timestamp: at.toISOString(),
    data: { subject, title, risk, stage, link, record: data },
  })
}

const signatureOf = (
  key: Buffer,
  { id, seconds, body }: { id: string; seconds: string; body: string },
): string => createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')

function keyOf(secret: Secret): Buffer {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.reveal()) ?? []
  const key = Buffer.from(encoded ?? '', 'base64')
  if (key.length >= 24 && key.length <= 64) return key
  throw new AppError('channel.refused', 'a key of the webhook is not whsec_ and 24 to 64 bytes in base64')
}

/** What is absent is left out; what is there and wrong is said. */
function optional<T>(read: () => T): T[] {
  try {
    return [read()]
  } catch (error) {
    if (error instanceof AppError && error.detail?.includes('has no field')) return []
    throw error
  }
}
