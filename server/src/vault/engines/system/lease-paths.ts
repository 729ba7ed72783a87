import { AppError } from '../../../core/index.ts'
import type { Answer, Body, Call, PathSpec } from '../../engine.ts'
import { booleanField, durationField, textField } from '../../fields.ts'
import { leaseNotFound, type StoredLease } from '../../leases/lease-book.ts'
import type { CredentialLease } from '../../leases/lease-pages.ts'
import type { Leases } from '../../leases/leases.ts'
import { authPrefix } from '../../mount-config.ts'
import type { Mounts } from '../../mounts.ts'
import type { Tokens } from '../../tokens/tokens.ts'
import { listed } from '../kv2.ts'

type Needs = {
  leases: Leases
  mounts: Pick<Mounts, 'all'>
  tokens: Pick<Tokens, 'madeUnder' | 'revoke'>
}

/** How many leases `sys/leases` names unless it is told otherwise. */
const usualLimit = 10_000

/** `sys/leases`, and the older `sys/renew` and `sys/revoke…`, which mean the same. */
export function leasePaths(needs: Needs): PathSpec[] {
  const { leases } = needs
  return [
    { pattern: 'leases', sudo: true, read: async (call) => irrevocable(needs, call) },
    { pattern: 'leases/count', read: async (call) => irrevocableCounts(needs, call) },
    {
      pattern: 'leases/lookup',
      post: async ({ body, now }) => lookedUp(await leases.find(idFrom(body)), now),
      sudo: ['list'],
      list: async () => listed(await leases.pages.list('')),
    },
    {
      pattern: 'leases/lookup/{prefix...}',
      sudo: true,
      list: async ({ params }) => listed(await leases.pages.list(params['prefix'] ?? '')),
    },
    {
      pattern: 'leases/tidy',
      async post() {
        leases.start()
        const warning =
          'Tidy operation successfully started. What it ends is in the audit log; what it cannot end is in sys/leases?type=irrevocable.'
        return { status: 202, warnings: [warning] }
      },
    },
    ...['leases/', ''].flatMap((place) => [
      renewPath(leases, `${place}renew/{id...}`),
      revokePath(leases, `${place}revoke/{id...}`),
      prefixPath(needs, `${place}revoke-prefix/{prefix...}`, false),
      prefixPath(needs, `${place}revoke-force/{prefix...}`, true),
    ]),
  ]
}

function renewPath(leases: Leases, pattern: string): PathSpec {
  return {
    pattern,
    events: { update: 'lease.renewed' },
    target,
    async post(call) {
      const store = await leases.renew(idOf(call), durationField(call.body, 'increment') ?? 0, call)
      return async (tx) => {
        const { id, renewable, seconds, warnings } = await store(tx)
        return { lease: { id, renewable }, leaseSeconds: seconds, warnings }
      }
    },
  }
}

function revokePath(leases: Leases, pattern: string): PathSpec {
  return {
    pattern,
    events: { update: 'lease.revoked' },
    target,
    async post(call) {
      const id = idOf(call)
      if (booleanField(call.body, 'sync') ?? true) {
        await leases.revokeNow({ id }, call)
        return {}
      }
      return async (tx) => ({ status: 202, note: { leases: await leases.mark(tx, { id }) } })
    },
  }
}

/** Tokens are leases too, to Vault's clients: those that an auth method gave out lie below its path. */
function prefixPath({ leases, tokens }: Needs, pattern: string, force: boolean): PathSpec {
  return {
    pattern,
    sudo: true,
    events: { update: 'lease.revoked' },
    target: ({ params }) => `path:${params['prefix'] ?? ''}`,
    async post(call) {
      const prefix = call.params['prefix'] ?? ''
      if (prefix === '') throw new AppError('request.invalid', 'prefix must be specified')
      if (`${prefix}/`.startsWith(authPrefix))
        return async (tx) => {
          let count = 0
          for (const row of await tokens.madeUnder(tx, prefix)) count += (await tokens.revoke(tx, row)).length
          return { note: { tokens: count } }
        }
      if (force || (booleanField(call.body, 'sync') ?? true))
        return { note: { leases: await leases.revokeNow({ prefix }, call, { force }) } }
      return async (tx) => ({ status: 202, note: { leases: await leases.mark(tx, { prefix }) } })
    },
  }
}

function idFrom(body: Body): string {
  const id = textField(body, 'lease_id')
  if (!id) throw new AppError('request.invalid', 'lease_id must be specified')
  return id
}

const idOf = ({ body, params }: Call): string => textField(body, 'lease_id') || params['id'] || idFrom(body)

const target = ({ body, params }: Call): string =>
  `lease:${textField(body, 'lease_id') || params['id'] || ''}`

function lookedUp(found: StoredLease | undefined, now: Date): Answer {
  if (!found) throw leaseNotFound()
  const { id, issuedAt, expiresAt, lastRenewedAt, renewable, error } = found.record
  return {
    data: {
      id,
      issue_time: new Date(issuedAt).toISOString(),
      expire_time: new Date(expiresAt).toISOString(),
      last_renewal: lastRenewedAt === null ? null : new Date(lastRenewedAt).toISOString(),
      renewable: renewable && found.row.stage === 'live' && expiresAt > now.getTime(),
      ttl: Math.round((expiresAt - now.getTime()) / 1000),
      path: id.slice(0, id.lastIndexOf('/')),
      ...(error === undefined ? {} : { revoke_error: error }),
    },
    note: { lease: id },
  }
}

async function stubborn({ leases }: Needs, { query, body }: Call): Promise<CredentialLease[]> {
  const type = query['type'] ?? textField(body, 'type') ?? ''
  if (type.toLowerCase() !== 'irrevocable')
    throw new AppError('request.invalid', 'type must be "irrevocable"; sys/leases/lookup lists the others')
  const limit = query['limit'] ?? ''
  if (limit !== '' && limit !== 'none' && !/^[1-9]\d{0,8}$/.test(limit))
    throw new AppError('request.invalid', "limit must be 'none' or a positive integer")
  const most = limit === 'none' ? Number.MAX_SAFE_INTEGER : Number(limit || usualLimit)
  return leases.pages.stubborn(most)
}

const accessorOf = ({ mounts }: Needs, lease: CredentialLease): string =>
  mounts.all().find(({ path }) => path === lease.mount)?.accessor ?? ''

async function irrevocable(needs: Needs, call: Call): Promise<Answer> {
  const found = await stubborn(needs, call)
  const leases = found.map((lease) => ({
    lease_id: lease.id,
    mount_id: accessorOf(needs, lease),
    error: lease.error ?? '',
  }))
  return { data: { lease_count: leases.length, leases } }
}

async function irrevocableCounts(needs: Needs, call: Call): Promise<Answer> {
  const found = await stubborn(needs, { ...call, query: { ...call.query, limit: 'none' } })
  const counts: Record<string, number> = {}
  for (const lease of found) {
    const accessor = accessorOf(needs, lease)
    counts[accessor] = (counts[accessor] ?? 0) + 1
  }
  return { data: { lease_count: found.length, counts } }
}
