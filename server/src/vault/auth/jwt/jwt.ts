import { AppError, type Clock } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Call, PathSpec, RenewalTerms, WriteHandler } from '../../engine.ts'
import { listed } from '../../engines/kv2.ts'
import { booleanField } from '../../fields.ts'
import type { EngineMaker } from '../../mounts.ts'
import { foldingCase } from '../../spelling.ts'
import type { TokenRecord } from '../../tokens/token-record.ts'
import type { SignInNeeds } from '../login.ts'
import { configFrom, configView, type JwtConfig } from './config.ts'
import { createDiscovery } from './discovery.ts'
import { explained } from './refusals.ts'
import { roleFrom, roleView } from './role.ts'
import { createSettings, type Settings } from './settings.ts'
import { createSignIn } from './sign-in.ts'
import { createSignatures, type Signatures } from './signatures.ts'

type Needs = SignInNeeds & { barrier: Barrier; clock: Pick<Clock, 'now'> }

const longestName = 128

/** Tokens that an identity provider has signed, and people who sign in there. The types `jwt` and `oidc` are the same. */
export function createJwt(type: 'jwt' | 'oidc', { barrier, clock, tokens, identity }: Needs): EngineMaker {
  return ({ id, path, accessor }, config) => {
    const settings = createSettings(barrier, id)
    const discovery = createDiscovery(clock)
    const signatures = createSignatures({ clock, discovery })
    const mount = { id, accessor, config }
    const ways = createSignIn({ settings, signatures, discovery, clock, tokens, identity, mount, path })
    return {
      type,
      paths: [
        { pattern: 'login', events: { update: 'token.created' }, open: ways.login },
        { pattern: 'oidc/auth_url', open: ways.begin },
        { pattern: 'oidc/poll', events: { update: 'token.created' }, open: ways.poll },
        {
          pattern: 'oidc/callback',
          events: { read: 'token.created' },
          open: ways.back,
          opens: ['read', 'update'],
        },
        configPath(settings, signatures),
        ...foldingCase(rolePaths(settings)),
      ],
      wipe: settings.wipe,
      renewal: (tx, token) => renewal(settings, tx, token),
    }
  }
}

function configPath(settings: Settings, signatures: Signatures): PathSpec {
  async function write({ body }: Call): Promise<WriteHandler> {
    const config = configFrom(body, await settings.config())
    // Before it is stored, so that a wrong address is known at once.
    if (booleanField(body, 'skip_jwks_validation') !== true)
      await explained(problemOf(config), () => signatures.check(config))
    return async (tx) => {
      await settings.setConfig(tx, config)
      const { discoveryUrl, jwksUrl, publicKeys } = config
      return { note: { discovery: discoveryUrl, jwks: jwksUrl, keys: publicKeys.length } }
    }
  }
  return {
    pattern: 'config',
    async read() {
      const config = await settings.config()
      return config && { data: { ...configView(config), status: 'valid' } }
    },
    post: write,
  }
}

const problemOf = ({ jwksUrl }: JwtConfig): string =>
  jwksUrl === '' ? 'error checking oidc discovery URL:' : 'error checking jwks URL:'

function rolePaths(settings: Settings): PathSpec[] {
  return [
    { pattern: 'role', list: async () => listed(await settings.roleNames()) },
    {
      pattern: 'role/{name}',
      exists: async (call, reader) => (await settings.role(nameOf(call), reader)) !== undefined,
      async read(call) {
        const role = await settings.role(nameOf(call))
        return role && { data: roleView(role) }
      },
      async update(tx, call) {
        const name = nameOf(call)
        const role = roleFrom(call.body, await settings.role(name, tx))
        await settings.setRole(tx, name, role)
        return { note: { role: name, policies: [...role.terms.policies] } }
      },
      async delete(tx, call) {
        await settings.removeRole(tx, nameOf(call))
        return {}
      },
    },
  ]
}

async function renewal(settings: Settings, tx: Tx, { issuer }: TokenRecord): Promise<RenewalTerms> {
  const name = issuer?.name ?? ''
  const role = await settings.role(name, tx)
  if (!role) throw new AppError('request.invalid', `role ${name} does not exist during renewal`)
  const { ttlSeconds, maxTtlSeconds, periodSeconds } = role.terms
  return { ttlSeconds, maxTtlSeconds, periodSeconds }
}

/** Roles' names are the same in upper and lower case. */
function nameOf({ params }: Call): string {
  const name = (params['name'] ?? '').toLowerCase()
  if (!/^\w(?:[\w.-]*\w)?$/.test(name) || name.length > longestName)
    throw new AppError(
      'request.invalid',
      `a role's name has 1 to ${longestName} letters, digits, hyphens, underscores and periods`,
    )
  return name
}
