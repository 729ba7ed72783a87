import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from 'jose'
import { z } from 'zod'
import { AppError, type Clock, reasonOf } from '../../core/index.ts'
import type { Call } from '../channel.ts'

const metadata = z.object({ issuer: z.string().min(1), jwks_uri: z.url() })
const keySet = z.object({
  keys: z.array(
    z.looseObject({ kid: z.string(), kty: z.string(), endorsements: z.array(z.string()).optional() }),
  ),
})
const claims = z.object({ serviceurl: z.string().min(1) })

type Known = { readonly issuer: string; readonly keys: z.output<typeof keySet>['keys']; readonly at: number }

/** Keys are asked for again after a day, and for a key that is not known at most every five minutes. */
const staleMs = 24 * 3_600_000
const soonestMs = 5 * 60_000
const skewSeconds = 300
const patienceMs = 5000

const refused = (why: string): AppError => new AppError('channel.unsigned', `its token ${why}`)

/**
 * Verifies what the Bot Framework shows to a bot, as
 * https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication says. Keys are kept for each address.
 */
export function createBotTokens(clock: Pick<Clock, 'now'>) {
  const kept = new Map<string, Known>()

  async function read(call: Call, url: string): Promise<Known> {
    const signal = AbortSignal.timeout(patienceMs)
    const get = async (address: string): Promise<unknown> =>
      JSON.parse((await call({ url: address, method: 'GET', signal })).text)
    const { issuer, jwks_uri } = metadata.parse(await get(url))
    const { keys } = keySet.parse(await get(jwks_uri))
    return { issuer, keys, at: clock.now().getTime() }
  }

  async function keysAt(call: Call, url: string, kid: string): Promise<Known> {
    const known = kept.get(url)
    const age = known ? clock.now().getTime() - known.at : Number.POSITIVE_INFINITY
    const wanted = known?.keys.some((key) => key.kid === kid) ? staleMs : soonestMs
    if (known && age < wanted) return known
    try {
      const fresh = await read(call, url)
      kept.set(url, fresh)
      return fresh
    } catch (error) {
      throw new AppError(
        'channel.unavailable',
        `the keys of the Bot Framework cannot be read: ${reasonOf(error)}`,
      )
    }
  }

  return {
    /** The address of the service that sent it. Throws `channel.unsigned`, `channel.unavailable`. */
    async verify(
      header: string,
      { call, appId, openIdMetadataUrl }: { call: Call; appId: string; openIdMetadataUrl: string },
    ): Promise<string> {
      const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(header)?.[1]
      if (token === undefined) throw refused('is missing')
      const { issuer, keys } = await keysAt(call, openIdMetadataUrl, kidOf(token))
      const forTeams = keys.filter(({ endorsements }) => endorsements?.includes('msteams') ?? false)
      try {
        const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: forTeams }), {
          issuer,
          audience: appId,
          algorithms: ['RS256', 'ES256'],
          clockTolerance: skewSeconds,
          currentDate: clock.now(),
          requiredClaims: ['exp', 'serviceurl'],
        })
        return claims.parse(payload).serviceurl
      } catch (error) {
        if (error instanceof errors.JOSEError) throw refused(`is not valid: ${error.code}`)
        throw error
      }
    },
  }
}

export type BotTokens = ReturnType<typeof createBotTokens>

function kidOf(token: string): string {
  try {
    decodeJwt(token)
    const [head = ''] = token.split('.')
    const { kid } = z.object({ kid: z.string() }).parse(JSON.parse(Buffer.from(head, 'base64url').toString()))
    return kid
  } catch {
    throw refused('cannot be read')
  }
}
