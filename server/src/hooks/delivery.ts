import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** What a service sends of its own accord, before anything of it is believed. Names of headers are in small letters. */
export type Delivery = {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

/** Empty when it is not there, or there more than once. */
export function headerOf({ headers }: Delivery, name: string): string {
  const value = headers[name]
  return typeof value === 'string' ? value : ''
}

/**
 * Whether GitHub signed these bytes with the secret, which is the only proof of who sends. Neither the delivery's id nor the name of
 * its event is signed. https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function isSignedByGitHub(delivery: Delivery, secret: Buffer): boolean {
  const signature = `sha256=${createHmac('sha256', secret).update(delivery.body).digest('hex')}`
  return isSame(headerOf(delivery, 'x-hub-signature-256'), signature)
}

/** In a time that tells nothing of the secret, not even its length. */
export function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}

/** Undefined for what is no id that a service would give. */
export const deliveryIdOf = (text: string): string | undefined =>
  /^[\w.:=+/-]{8,200}$/.test(text) ? text : undefined

/** By what the same content is known again, whatever id it comes with. Lower-case hex. */
export const contentDigest = (provider: string, { body }: Delivery): string =>
  createHash('sha256').update(`${provider}\0`).update(body).digest('hex')

/** Undefined for a body that is no JSON. */
export function jsonOf({ body }: Delivery): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    // The caller refuses it in its own words.
    return undefined
  }
}
