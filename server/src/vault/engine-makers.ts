import type { Clock } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import type { Lockouts } from './auth/lockouts.ts'
import type { SignInNeeds } from './auth/login.ts'
import type { Barrier } from './barrier/barrier.ts'
import type { Databases } from './engines/database/databases.ts'
import type { EngineMakers } from './mounts.ts'

type Needs = SignInNeeds & {
  barrier: Barrier
  store: Pick<Store, 'write'>
  clock: Pick<Clock, 'now'>
  lockouts: Lockouts
  databases: Pick<Databases, 'maker'>
}

/**
 * What can be mounted beside KV. The code of a type comes with its first mount: all of it together is a third of the server's,
 * and most servers use little of it.
 */
export function createEngineMakers(needs: Needs): EngineMakers {
  const { barrier } = needs
  const jwt = (type: 'jwt' | 'oidc') => async () => (await import('./auth/jwt/jwt.ts')).createJwt(type, needs)
  return {
    secret: {
      async transit() {
        const { createTransit } = await import('./engines/transit/transit.ts')
        return ({ id }) => createTransit(barrier, id)
      },
      database: needs.databases.maker,
      pki: async () => (await import('./engines/pki/pki.ts')).createPki(needs),
      ssh: async () => (await import('./engines/ssh/ssh.ts')).createSsh(barrier),
      async totp() {
        const { createTotp } = await import('./engines/totp/totp.ts')
        return ({ id }) => createTotp(barrier, id)
      },
    },
    auth: {
      approle: async () => (await import('./auth/approle/approle.ts')).createAppRole(needs),
      userpass: async () => (await import('./auth/userpass/userpass.ts')).createUserpass(needs),
      jwt: jwt('jwt'),
      oidc: jwt('oidc'),
    },
  }
}
