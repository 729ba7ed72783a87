import { createHash, timingSafeEqual } from 'node:crypto'
import { type SessionView, sessionApi } from '@keyward/contract'
import { AppError, type Clock, type Secret } from '../../core/index.ts'
import type { Identity } from '../../identity/index.ts'
import type { Store } from '../../store/index.ts'
import { sessionCookie } from '../credentials.ts'
import { type Call, type Route, route } from '../route.ts'
import { type PeopleIdentity, peopleRoutes } from './people.ts'
import { type FactorIdentity, secondFactorRoutes } from './second-factors.ts'

type Needs = {
  store: Pick<Store, 'write'>
  identity: Pick<
    Identity,
    'exchange' | 'session' | 'endSession' | 'startSession' | 'createSignInCode' | 'bootstrapOwner'
  > &
    PeopleIdentity &
    FactorIdentity
  clock: Pick<Clock, 'now'>
  /** What the file `local.token` in the data folder holds. */
  localToken: Secret
  secure: boolean
}

export function sessionRoutes({ store, identity, clock, localToken, secure }: Needs): Route[] {
  /** Compared as hashes, so that neither length nor time tells anything. */
  const isLocal = (token: string): boolean => {
    const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
    return timingSafeEqual(hash(token), hash(localToken.reveal()))
  }

  return [
    route(sessionApi.exchange, async ({ code, kind }, call) => {
      const { session, token } = await identity.exchange(code, kind)
      if (kind === 'bearer') return { session, token: token.reveal() }
      const seconds = Math.floor((Date.parse(session.expiresAt) - clock.now().getTime()) / 1000)
      call.setCookie(sessionCookie(token.reveal(), secure, seconds))
      return { session, token: null }
    }),
    route(sessionApi.local, async ({ token, kind }) => {
      if (!isLocal(token))
        throw new AppError(
          'session.code_invalid',
          'the token is not the one in local.token of the running server; it changes at each start',
        )
      return store.write(async (tx) => {
        const owner = await identity.bootstrapOwner(tx)
        if (kind === 'code')
          return {
            session: null,
            token: null,
            code: (await identity.createSignInCode(tx, owner.id)).reveal(),
          }
        const started = await identity.startSession(tx, owner.id, 'bearer')
        return { session: started.session, token: started.token.reveal(), code: null }
      })
    }),
    route(
      sessionApi.read,
      async (_, call) => (await identity.session(call.token)) ?? withoutSession(call, clock.now()),
    ),
    route(sessionApi.end, async (_, call) => {
      call.setCookie(sessionCookie('', secure, 0))
      return { ended: await identity.endSession(call.token) }
    }),
    ...peopleRoutes({ store, identity }),
    ...secondFactorRoutes({ identity }),
  ]
}

/** An API key or a vault token: known, but nobody signed in. */
function withoutSession({ principal }: Call, now: Date): SessionView {
  const at = (principal.signedInAt ?? now).toISOString()
  return {
    principal: `${principal.kind}:${principal.id}`,
    name: principal.name,
    roles: [...principal.roles],
    signedInAt: at,
    expiresAt: at,
  }
}
