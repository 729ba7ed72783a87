import { secondFactorsApi } from '@keyward/contract'
import { qrImage, Secret } from '../../core/index.ts'
import type { Identity } from '../../identity/index.ts'
import { type Call, type Route, route } from '../route.ts'

export type FactorIdentity = Pick<Identity, 'factors' | 'proven'>

/** Wide enough for a camera, narrow enough for a dialog on a phone. */
const qrPixels = 240

/** Everybody's own: whose they are is said by the session. */
export function secondFactorRoutes({ identity }: { identity: FactorIdentity }): Route[] {
  const { factors, proven } = identity
  /** Whether there is such a factor is said first: that is about the request, not about the session. */
  const owning = async (factorId: string, { principal, token }: Call) => {
    await factors.assertOwn(principal.id, factorId)
    return proven(token)
  }
  return [
    route(secondFactorsApi.list, (_, { principal }) => factors.list(principal.id)),
    route(secondFactorsApi.addTotp, async ({ name }, { token }) => {
      const { factorId, url, secret } = await factors.addTotp(await proven(token), name)
      const qr = await qrImage(url.reveal(), qrPixels)
      return { factorId, url: url.reveal(), secret: secret.reveal(), qr }
    }),
    route(secondFactorsApi.finishTotp, async ({ factorId, code }, call) =>
      shownOnce(await factors.finishTotp(await owning(factorId, call), factorId, new Secret(code))),
    ),
    route(secondFactorsApi.addKey, async ({ name, origin }, { token }) =>
      factors.addKey(await proven(token), name, origin),
    ),
    route(secondFactorsApi.finishKey, async ({ factorId, ...given }, call) =>
      shownOnce(await factors.finishKey(await owning(factorId, call), factorId, given)),
    ),
    route(secondFactorsApi.challenge, ({ origin }, { principal }) => factors.challenge(principal.id, origin)),
    route(secondFactorsApi.confirm, async ({ code, recoveryCode, key }, { token }) =>
      factors.confirm(await proven(token), {
        key,
        ...(code === undefined ? {} : { code: new Secret(code) }),
        ...(recoveryCode === undefined ? {} : { recoveryCode: new Secret(recoveryCode) }),
      }),
    ),
    route(secondFactorsApi.remove, async ({ factorId }, call) =>
      factors.remove(await owning(factorId, call), factorId),
    ),
    route(secondFactorsApi.recoveryCodes, async (_, { token }) => ({
      recoveryCodes: revealed(await factors.recoveryCodes(await proven(token))),
    })),
  ]
}

const revealed = (codes: readonly Secret[]): string[] => codes.map((code) => code.reveal())

/** Recovery codes are told to their owner here, and nowhere again. */
const shownOnce = <T>({ recoveryCodes, ...added }: T & { recoveryCodes: readonly Secret[] | null }) => ({
  ...added,
  recoveryCodes: recoveryCodes && revealed(recoveryCodes),
})
