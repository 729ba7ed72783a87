import {
  type AppRoleView,
  appRolesApi,
  type CredentialView,
  credentialsApi,
  type SecretIdView,
  type TokenView,
  tokensApi,
} from '@keyward/contract'
import { AppError, type Principal } from '../../core/index.ts'
import type { CredentialLease, Vault } from '../../vault/index.ts'
import { type Resource, type Route, route } from '../route.ts'

type Needs = { vault: Pick<Vault, 'act' | 'overview' | 'leases' | 'status'> }
type TokenInfo = Awaited<ReturnType<Vault['overview']['tokens']>>['items'][number]
type Fields = Readonly<Record<string, unknown>>

/** How many secret ids of a role are shown. */
const mostSecretIds = 200

/** Who can come in by the vault's own ways, and what engines have given out. */
export function vaultAccessRoutes(needs: Needs): Route[] {
  return [...tokenRoutes(needs), ...credentialRoutes(needs), ...appRoleRoutes(needs)]
}

function tokenRoutes({ vault }: Needs): Route[] {
  return [
    route(tokensApi.list, async ({ cursor, limit }) => {
      const { items, next } = await vault.overview.tokens({ cursor, limit })
      return { items: items.map(tokenView), next }
    }),
    route(tokensApi.revoke, async ({ accessor }, { principal }) => {
      const path = 'auth/token/revoke-accessor'
      const answer = await vault.act(principal, { method: 'POST', path, body: { accessor } })
      // Vault answers a revocation that found nothing with a warning.
      if (texts(answer?.['warnings']).length > 0)
        throw new AppError('vault.not_found', `no token has the accessor ${accessor}`)
      return { accessor }
    }),
  ]
}

function credentialRoutes({ vault: { act, leases, status } }: Needs): Route[] {
  const leaseAt = ({ leaseId }: { leaseId: string }): Resource => vaultAt(leaseId)
  return [
    route(credentialsApi.list, async ({ prefix, failing, cursor, limit }) => {
      if (status().sealed) throw new AppError('vault.sealed')
      const { items, next } = await leases.page({ prefix, failing: failing === 'true', cursor, limit })
      return { items: items.map(credentialView), next }
    }),
    route(credentialsApi.backlog, async () => {
      const { count, oldestAt, nextTryAt, error } = await leases.backlog()
      const total = await leases.count()
      return { total, count, oldestAt: textOrNull(oldestAt), nextTryAt: textOrNull(nextTryAt), error }
    }),
    route(
      credentialsApi.renew,
      async ({ leaseId, seconds }, { principal }) => {
        const increment = seconds === undefined ? {} : { increment: seconds }
        const body = { lease_id: leaseId, ...increment }
        const answer = await act(principal, { method: 'POST', path: 'sys/leases/renew', body })
        return { leaseId, seconds: count(answer?.['lease_duration']) }
      },
      leaseAt,
    ),
    route(
      credentialsApi.revoke,
      async ({ leaseId }, { principal }) => {
        const body = { lease_id: leaseId }
        await act(principal, { method: 'POST', path: 'sys/leases/revoke', body })
        return { leaseId }
      },
      leaseAt,
    ),
  ]
}

const vaultAt = (path: string): Resource => ({ type: 'Vault', id: path, attributes: { path } })
const textOrNull = (at: Date | null): string | null => at?.toISOString() ?? null

const credentialView = ({ tokenId: _, ...lease }: CredentialLease): CredentialView => ({
  ...lease,
  issuedAt: lease.issuedAt.toISOString(),
  expiresAt: lease.expiresAt.toISOString(),
  lastRenewedAt: textOrNull(lease.lastRenewedAt),
  nextTryAt: textOrNull(lease.nextTryAt),
})

const timeOrNull = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString()

const tokenView = (token: TokenInfo): TokenView => ({
  accessor: token.accessor,
  displayName: token.displayName,
  policies: [...token.policies],
  path: token.path,
  createdAt: new Date(token.createdAt).toISOString(),
  expiresAt: timeOrNull(token.expiresAt),
  renewable: token.renewable,
  lastRenewedAt: timeOrNull(token.lastRenewedAt),
  usesLeft: token.usesLeft,
  orphan: token.parent === null,
})

type Named = { mount: string; roleName: string }

function appRoleRoutes({ vault: { act, overview } }: Needs): Route[] {
  const mountPaths = (): string[] =>
    overview
      .mounts()
      .filter(({ type, kind }) => type === 'approle' && kind === 'auth')
      .map(({ path }) => path)
  /** A role's address. What is no AppRole mount is not asked: its address could mean something else there. */
  function addressOf({ mount, roleName }: Named): string {
    if (!mountPaths().includes(mount))
      throw new AppError('vault.not_found', `no AppRoles are mounted at ${mount}`)
    if (roleName.includes('/'))
      throw new AppError('request.invalid', `"${roleName}" cannot be the name of a role`)
    return `${mount}role/${roleName}`
  }
  const roleAt = ({ mount, roleName }: Named): Resource => vaultAt(`${mount}role/${roleName}`)
  async function read(by: Principal, named: Named): Promise<AppRoleView> {
    const address = addressOf(named)
    const role = dataOf(await act(by, { method: 'GET', path: address }))
    const roleId = dataOf(await act(by, { method: 'GET', path: `${address}/role-id` }))
    if (!role || !roleId)
      throw new AppError('vault.not_found', `there is no role ${named.roleName} at ${named.mount}`)
    return appRoleView(named, role, String(roleId['role_id']))
  }
  async function secretIdsOf(by: Principal, named: Named): Promise<SecretIdView[]> {
    const address = addressOf(named)
    const listed = dataOf(await act(by, { method: 'LIST', path: `${address}/secret-id` }))
    const views: SecretIdView[] = []
    for (const accessor of texts(listed?.['keys']).slice(0, mostSecretIds)) {
      const body = { secret_id_accessor: accessor }
      const found = await act(by, { method: 'POST', path: `${address}/secret-id-accessor/lookup`, body })
      const data = dataOf(found)
      if (data) views.push(secretIdView(accessor, data))
    }
    return views
  }

  return [
    route(appRolesApi.list, async (_, { principal }) => {
      const mounts = mountPaths()
      const items: { mount: string; name: string }[] = []
      for (const mount of mounts) {
        const listed = dataOf(await act(principal, { method: 'LIST', path: `${mount}role` }))
        items.push(...texts(listed?.['keys']).map((name) => ({ mount, name })))
      }
      return { items, mounts }
    }),
    route(
      appRolesApi.read,
      async (named, { principal }) => ({
        role: await read(principal, named),
        secretIds: await secretIdsOf(principal, named),
      }),
      roleAt,
    ),
    route(
      appRolesApi.write,
      async ({ mount, roleName, ...terms }, { principal }) => {
        const body = {
          token_policies: terms.policies,
          token_ttl: terms.tokenTtlSeconds,
          token_max_ttl: terms.tokenMaxTtlSeconds,
          secret_id_ttl: terms.secretIdTtlSeconds,
          secret_id_num_uses: terms.secretIdUses,
          secret_id_bound_cidrs: terms.boundCidrs,
        }
        await act(principal, { method: 'POST', path: addressOf({ mount, roleName }), body })
        return read(principal, { mount, roleName })
      },
      roleAt,
    ),
    route(
      appRolesApi.delete,
      async (named, { principal }) => {
        await act(principal, { method: 'DELETE', path: addressOf(named) })
        return { roleName: named.roleName }
      },
      roleAt,
    ),
    route(
      appRolesApi.issue,
      async ({ wrapTtlSeconds, ...named }, { principal }) => {
        const { roleId } = await read(principal, named)
        const path = `${addressOf(named)}/secret-id`
        const answer = await act(principal, { method: 'POST', path, body: {}, wrapTtl: `${wrapTtlSeconds}s` })
        const info = fieldsOf(answer?.['wrap_info'])
        const expires = Date.parse(String(info?.['creation_time'])) + wrapTtlSeconds * 1000
        return { wrappingToken: String(info?.['token']), expiresAt: new Date(expires).toISOString(), roleId }
      },
      roleAt,
    ),
    route(
      appRolesApi.revoke,
      async ({ accessor, ...named }, { principal }) => {
        const body = { secret_id_accessor: accessor }
        await act(principal, { method: 'POST', path: `${addressOf(named)}/secret-id-accessor/destroy`, body })
        return { accessor }
      },
      roleAt,
    ),
  ]
}

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
const dataOf = (answer: Fields | undefined): Fields | undefined => fieldsOf(answer?.['data'])
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
const count = (value: unknown): number => (typeof value === 'number' ? value : 0)

const appRoleView = ({ mount, roleName }: Named, role: Fields, roleId: string): AppRoleView => ({
  mount,
  name: roleName,
  roleId,
  policies: texts(role['token_policies']),
  tokenTtlSeconds: count(role['token_ttl']),
  tokenMaxTtlSeconds: count(role['token_max_ttl']),
  secretIdTtlSeconds: count(role['secret_id_ttl']),
  secretIdUses: count(role['secret_id_num_uses']),
  boundCidrs: texts(role['secret_id_bound_cidrs']),
})

/** Vault writes "without end" as the year 1, and "as often as one likes" as 0. */
function secretIdView(accessor: string, data: Fields): SecretIdView {
  const expiresAt = Date.parse(String(data['expiration_time']))
  return {
    accessor,
    createdAt: new Date(String(data['creation_time'])).toISOString(),
    expiresAt: expiresAt > 0 ? new Date(expiresAt).toISOString() : null,
    usesLeft: count(data['secret_id_num_uses']) || null,
  }
}
