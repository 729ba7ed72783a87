import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

export const factorView = z.object({
  id: z.string(),
  /** `totp`: an app that shows six digits. `key`: a security key, or the device itself, by WebAuthn. */
  kind: z.enum(['totp', 'key']),
  name: z.string(),
  createdAt: timestamp,
  lastUsedAt: timestamp.nullable(),
})
export type FactorView = z.output<typeof factorView>

const name = z.string().trim().min(1).max(100)
const factorId = z.string()
/** Bytes in base 64 for URLs, without padding. */
const bytes = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .max(16_384)
const digits = z.string().regex(/^\d{6}$/)
/** Shown once; null when the person has codes already. */
const recoveryCodes = z.array(z.string())
const added = z.object({ factor: factorView, recoveryCodes: recoveryCodes.nullable() })

export const secondFactorsApi = {
  list: operation({
    name: 'second_factors.list',
    method: 'GET',
    path: '/second-factors',
    summary: 'The second factors of whoever is signed in',
    result: z.object({ items: z.array(factorView), recoveryCodesLeft: z.int() }),
  }),
  addTotp: operation({
    name: 'second_factors.add_totp',
    method: 'POST',
    path: '/second-factors/totp',
    summary: 'Begin to add an app that shows codes: its secret, this once',
    body: { name },
    result: z.object({
      factorId,
      url: z.string(),
      secret: z.string(),
      /** The URL as a QR code: a PNG in base64. */
      qr: z.base64(),
    }),
    fails: ['factor.needed'],
  }),
  finishTotp: operation({
    name: 'second_factors.finish_totp',
    method: 'POST',
    path: '/second-factors/{factorId}/totp',
    summary: 'Show that the app has the secret',
    params: { factorId },
    body: { code: digits },
    result: added,
    fails: ['factor.not_found', 'factor.wrong', 'factor.limited', 'factor.needed'],
  }),
  addKey: operation({
    name: 'second_factors.add_key',
    method: 'POST',
    path: '/second-factors/key',
    summary: 'Begin to add a security key: what the browser is to be asked',
    body: { name, origin: z.url({ protocol: /^https?$/ }).max(300) },
    result: z.object({
      factorId,
      challenge: bytes,
      rpId: z.string(),
      userId: bytes,
      userName: z.string(),
      /** Of COSE, in the order of preference. */
      algorithms: z.array(z.int()),
      /** Keys that the person has already. */
      exclude: z.array(bytes),
    }),
    fails: ['factor.needed'],
  }),
  finishKey: operation({
    name: 'second_factors.finish_key',
    method: 'POST',
    path: '/second-factors/{factorId}/key',
    summary: 'What the browser answered',
    params: { factorId },
    body: { clientData: bytes, attestation: bytes },
    result: added,
    fails: ['factor.not_found', 'factor.wrong', 'factor.needed'],
  }),
  challenge: operation({
    name: 'second_factors.challenge',
    method: 'POST',
    path: '/second-factors/challenge',
    summary: 'What a security key is to sign, once, within five minutes',
    body: { origin: z.url({ protocol: /^https?$/ }).max(300) },
    result: z.object({ challenge: bytes, rpId: z.string(), credentials: z.array(bytes) }),
    fails: ['factor.not_found'],
  }),
  confirm: operation({
    name: 'second_factors.confirm',
    method: 'POST',
    path: '/second-factors/confirm',
    summary: 'Show a second factor: for five minutes this session may approve what needs one',
    body: {
      code: digits.optional(),
      /** Lets its owner change their factors, and approve nothing. */
      recoveryCode: z.string().max(100).optional(),
      key: z
        .strictObject({ credential: bytes, clientData: bytes, authenticatorData: bytes, signature: bytes })
        .optional(),
    },
    result: z.object({ kind: z.enum(['totp', 'key', 'recovery']), freshUntil: timestamp }),
    fails: ['factor.wrong', 'factor.limited', 'factor.not_found', 'factor.needed'],
  }),
  remove: operation({
    name: 'second_factors.remove',
    method: 'DELETE',
    path: '/second-factors/{factorId}',
    summary: 'Give up a factor; needs one that was shown within five minutes',
    params: { factorId },
    result: factorView,
    fails: ['factor.not_found', 'factor.needed'],
  }),
  recoveryCodes: operation({
    name: 'second_factors.recovery_codes',
    method: 'POST',
    path: '/second-factors/recovery-codes',
    summary: 'New recovery codes, this once; the ones before count no more',
    result: z.object({ recoveryCodes }),
    fails: ['factor.needed'],
  }),
}
