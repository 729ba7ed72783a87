import { createHmac, timingSafeEqual } from 'node:crypto'
import { AppError, type Secret } from '../../core/index.ts'
import type { Inbound } from '../inbound.ts'

const windowSeconds = 300

/**
 * Whether Slack has signed these bytes within five minutes: https://docs.slack.dev/authentication/verifying-requests-from-slack/ .
 * Returns the signature, which stands for the request. Throws `channel.unsigned`.
 */
export function assertSlackSigned({ headers, body }: Inbound, secrets: readonly Secret[], now: Date): string {
  const refused = (why: string): AppError => new AppError('channel.unsigned', why)
  const header = (name: string): string => {
    const value = headers[name]
    return typeof value === 'string' ? value : ''
  }
  const stamp = header('x-slack-request-timestamp')
  const given = header('x-slack-signature')
  if (!/^\d{1,12}$/.test(stamp)) throw refused('it has no time stamp')
  if (Math.abs(now.getTime() / 1000 - Number(stamp)) > windowSeconds)
    throw refused('it is older than five minutes, or a clock is wrong')
  if (!/^v0=[0-9a-f]{64}$/.test(given)) throw refused('its signature is missing or wrong')
  const bytes = Buffer.from(given.slice(3), 'hex')
  // Every secret is tried: how long it takes tells nothing of which one fits.
  const fits = secrets.map((secret) => {
    const wanted = createHmac('sha256', secret.reveal()).update(`v0:${stamp}:`).update(body).digest()
    return timingSafeEqual(wanted, bytes)
  })
  if (!fits.includes(true)) throw refused('its signature is missing or wrong')
  return given
}
