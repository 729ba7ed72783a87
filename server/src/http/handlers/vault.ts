import {
  aclApi,
  type ExplanationView,
  type MountView,
  mountsApi,
  type SealView,
  sealApi,
  vaultApi,
} from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import { AppError, actorOf, Secret } from '../../core/index.ts'
import type { Policy } from '../../policy/index.ts'
import type { Vault } from '../../vault/index.ts'
import { type Call, type Resource, type Route, route } from '../route.ts'
import { secretVersionRoutes } from './secret-versions.ts'
import { vaultAccessRoutes } from './vault-access.ts'

type Needs = {
  vault: Pick<Vault, 'kv' | 'act' | 'overview' | 'explain' | 'leases' | 'status' | 'unseal' | 'seal'>
  audit: Pick<Audit, 'recordNow'>
  policy: Pick<Policy, 'decide'>
}

type MountInfo = ReturnType<Vault['overview']['mounts']>[number]
type Explanation = Awaited<ReturnType<Vault['explain']>>

/** The vault for people: what it holds and is made of, who can come in, and why it refuses. */
export function vaultRoutes(needs: Needs): Route[] {
  return [
    ...secretVersionRoutes(needs),
    ...vaultAccessRoutes(needs),
    ...mountRoutes(needs),
    ...sealRoutes(needs),
    ...aclRoutes(needs),
    explainRoute(needs),
  ]
}

const vaultAt = (path: string): Resource => ({ type: 'Vault', id: path, attributes: { path } })
const mountOf = ({ path }: { path: string }): Resource => vaultAt(withSlash(path))

function mountRoutes({ vault }: Needs): Route[] {
  const { overview, act } = vault
  const existing = (path: string): MountInfo => {
    const found = overview.mounts().find((mount) => mount.path === withSlash(path))
    if (!found) throw new AppError('vault.not_found', `nothing is mounted at ${path}`)
    return found
  }
  return [
    route(mountsApi.list, async () => {
      const { secret, auth } = overview.mountTypes()
      return { items: overview.mounts().map(mountView), types: { secret: [...secret], auth: [...auth] } }
    }),
    route(
      mountsApi.enable,
      async ({ path, type, version, description }, { principal }) => {
        const clean = withSlash(path)
        if (clean.endsWith('/tune/'))
          throw new AppError('request.invalid', `${path} cannot be a mount: tune is an address of the vault`)
        const options = version === undefined ? {} : { options: { version } }
        await act(principal, {
          method: 'POST',
          path: addressOf(clean),
          body: { type, description, ...options },
        })
        return mountView(existing(clean))
      },
      mountOf,
    ),
    route(
      mountsApi.tune,
      async ({ path, description, defaultTtlSeconds, maxTtlSeconds }, { principal }) => {
        const mount = existing(path)
        const body = {
          ...(description === undefined ? {} : { description }),
          ...(defaultTtlSeconds === undefined ? {} : { default_lease_ttl: ttlText(defaultTtlSeconds) }),
          ...(maxTtlSeconds === undefined ? {} : { max_lease_ttl: ttlText(maxTtlSeconds) }),
        }
        await act(principal, { method: 'POST', path: `${addressOf(mount.path)}/tune`, body })
        return mountView(existing(mount.path))
      },
      mountOf,
    ),
    route(
      mountsApi.disable,
      async ({ path, confirm }, { principal }) => {
        const mount = existing(path)
        if (withSlash(confirm) !== mount.path)
          throw new AppError(
            'request.invalid',
            `to remove ${mount.path} with all that it holds, confirm its path`,
          )
        await act(principal, { method: 'DELETE', path: addressOf(mount.path) })
        return { path: mount.path }
      },
      mountOf,
    ),
  ]
}

const withSlash = (path: string): string => `${path.replace(/^\/+|\/+$/g, '')}/`

/** Where the vault's API keeps a mount: auth methods without their `auth/`. */
function addressOf(path: string): string {
  const bare = path.replace(/\/$/, '')
  return bare.startsWith('auth/') ? `sys/${bare}` : `sys/mounts/${bare}`
}

/** 0 is the system's own. */
const ttlText = (seconds: number): string => (seconds === 0 ? 'system' : String(seconds))

const mountView = (mount: MountInfo): MountView => ({ ...mount })

function sealRoutes({ vault }: Needs): Route[] {
  const view = (): SealView => {
    const { initialised, sealed, seal, shares, threshold, progress } = vault.status()
    const key = sealed ? null : vault.overview.key()
    return {
      initialised,
      sealed,
      kind: seal,
      shares,
      threshold,
      progress,
      key: key && { term: key.term, installedAt: key.createdAt.toISOString(), encryptions: key.encryptions },
    }
  }
  return [
    route(sealApi.status, async () => view()),
    route(sealApi.close, async (_, { principal }) => {
      await vault.seal(principal)
      return view()
    }),
    route(sealApi.unseal, async ({ share }) => {
      await vault.unseal(new Secret(share))
      return view()
    }),
    route(sealApi.rotate, async (_, { principal }) => {
      await vault.act(principal, { method: 'POST', path: 'sys/rotate' })
      return view()
    }),
  ]
}

function aclRoutes({ vault, audit }: Needs): Route[] {
  const { overview, act } = vault
  const fixed = (name: string): boolean => name === 'root' || name === 'default'
  const policyOf = ({ policyName }: { policyName: string }): Resource =>
    vaultAt(`sys/policies/acl/${policyName}`)
  const addressOfPolicy = (name: string): string => {
    if (name.includes('/')) throw new AppError('request.invalid', `"${name}" cannot be the name of a policy`)
    return `sys/policies/acl/${name}`
  }
  const read = async (name: string) => {
    const text = await overview.policyText(name)
    if (text === undefined) throw new AppError('vault.not_found', `there is no policy ${name}`)
    return { name, text, fixed: fixed(name) }
  }
  return [
    route(aclApi.list, async () => ({ items: await overview.policyNames() })),
    route(aclApi.read, ({ policyName }) => read(policyName), policyOf),
    route(
      aclApi.write,
      async ({ policyName, text }, { principal }) => {
        await act(principal, { method: 'POST', path: addressOfPolicy(policyName), body: { policy: text } })
        return read(policyName)
      },
      policyOf,
    ),
    route(
      aclApi.delete,
      async ({ policyName }, { principal }) => {
        await act(principal, { method: 'DELETE', path: addressOfPolicy(policyName) })
        return { name: policyName }
      },
      policyOf,
    ),
    route(aclApi.test, async ({ text, name, ...question }, call) => {
      const explanation = await vault.explain(
        { kind: 'policies', policies: [{ name, text }] },
        question,
        true,
      )
      await recordExplained(audit, call, explanation)
      return explanationView(explanation)
    }),
  ]
}

function explainRoute({ vault, audit }: Needs): Route {
  /** What is somebody else's needs the right that the vault asks for at its own address for this. */
  async function assertMayAskAboutOthers(token: Secret): Promise<void> {
    const address = { method: 'POST', path: 'sys/capabilities-accessor' } as const
    const { allowed } = await vault.explain({ kind: 'token', token }, address, false)
    if (!allowed)
      throw new AppError(
        'policy.denied',
        'a token explains itself; another one by its accessor needs update and sudo on sys/capabilities-accessor',
      )
  }
  return route(vaultApi.explain, async ({ accessor, ...question }, call) => {
    const { principal } = call
    const byToken = principal.kind === 'token'
    const token = new Secret(call.token)
    if (accessor !== undefined && byToken) await assertMayAskAboutOthers(token)
    if (accessor === undefined && !byToken)
      throw new AppError(
        'request.invalid',
        'you are signed in without a token of the vault: name one by its accessor',
      )
    const subject =
      accessor === undefined ? ({ kind: 'token', token } as const) : ({ kind: 'accessor', accessor } as const)
    const explanation = await vault.explain(subject, question, !byToken || principal.roles.includes('owner'))
    await recordExplained(audit, call, explanation)
    return explanationView(explanation)
  })
}

const recordExplained = (
  audit: Needs['audit'],
  call: Call,
  { path, operation, allowed, token }: Explanation,
): Promise<void> =>
  audit.recordNow({
    type: 'vault.explained',
    outcome: 'done',
    actor: actorOf(call.principal),
    target: `path:${path}`,
    correlation: call.requestId,
    detail: { operation, allowed, token: token?.id ?? null },
  })

function explanationView(explanation: Explanation): ExplanationView {
  const { token, needs, policies, deciding, reasons } = explanation
  return {
    ...explanation,
    needs: [...needs],
    policies: [...policies],
    deciding: deciding.map((rule) => ({ ...rule, capabilities: [...rule.capabilities] })),
    reasons: [...reasons],
    token: token && {
      accessor: token.accessor,
      displayName: token.displayName,
      expiresAt: token.expiresAt?.toISOString() ?? null,
    },
  }
}
