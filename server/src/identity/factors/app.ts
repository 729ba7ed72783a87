import { randomBytes } from 'node:crypto'
import { Secret, stepOfCode, toBase32 } from '../../core/index.ts'

const rules = { algorithm: 'SHA1', digits: 6, periodSeconds: 30 } as const
/** A clock of a phone may be a step away from ours. */
const skewSteps = 1
/** The first byte of what is stored: the bytes of the secret follow. Before this there was JSON, which never begins so. */
const rawFormat = 1

/** The secret of a new app: for the app itself, and as it is stored. */
export type NewApp = { readonly url: Secret; readonly base32: Secret; readonly stored: Buffer }

/** @param name of the account, as the app shows it */
export function newApp(name: string): NewApp {
  const bytes = randomBytes(20)
  const base32 = new Secret(toBase32(bytes))
  const label = `Keyward:${encodeURIComponent(name)}`
  const query = `issuer=Keyward&secret=${base32.reveal()}&algorithm=SHA1&digits=6&period=30`
  const stored = Buffer.concat([Buffer.of(rawFormat), bytes])
  bytes.fill(0)
  return { url: new Secret(`otpauth://totp/${label}?${query}`), base32, stored }
}

/**
 * The step of time that a code of this app belongs to; undefined when it is none of those around now. The stored bytes are wiped:
 * a string could not be, so they never become one.
 */
export function stepShown(stored: Buffer, code: Secret, now: Date): number | undefined {
  const secret = bytesOf(stored)
  try {
    return stepOfCode({ ...rules, secret }, code.reveal(), now, skewSteps)
  } finally {
    secret.fill(0)
    stored.fill(0)
  }
}

function bytesOf(stored: Buffer): Buffer {
  if (stored[0] === rawFormat) return stored.subarray(1)
  const { secret }: { secret: string } = JSON.parse(stored.toString('utf8'))
  return Buffer.from(secret, 'base64')
}
