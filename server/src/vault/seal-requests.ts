import { AppError, type Clock, Secret } from '../core/index.ts'
import { booleanField, countField, parseBody, textField } from './fields.ts'
import { failureOf } from './render.ts'
import type { VaultRequest, VaultResponse } from './request-context.ts'
import type { SealOptions, VaultStatus } from './seal/seal.ts'

type Needs = {
  clock: Pick<Clock, 'now'>
  /** Reported to clients, which compare it. */
  version: string
  status: () => VaultStatus
  initialise: (options: SealOptions) => Promise<{ shares: readonly Secret[]; rootToken: Secret }>
  unseal: (share: Secret) => Promise<VaultStatus>
  reset: () => void
}

/** The paths that answer without a token, sealed or not. Undefined: it is none of them. */
export function createSealRequests(
  needs: Needs,
): (request: VaultRequest) => Promise<VaultResponse> | undefined {
  const paths: Record<
    string,
    Partial<Record<VaultRequest['method'], (request: VaultRequest) => Promise<VaultResponse>>>
  > = {
    'sys/seal-status': { GET: async () => json(200, statusView(needs)) },
    'sys/health': {
      GET: async (request) => health(needs, request),
      HEAD: async (request) => ({ ...health(needs, request), body: undefined }),
    },
    'sys/leader': { GET: async () => leader(needs) },
    'sys/init': {
      GET: async () => json(200, { initialized: needs.status().initialised }),
      PUT: (request) => initialise(needs, request),
    },
    'sys/unseal': { PUT: (request) => unseal(needs, request) },
  }
  return (request) => {
    const path = paths[request.path]
    if (!path) return undefined
    const handler = path[request.method === 'POST' ? 'PUT' : request.method]
    if (!handler) return Promise.resolve(json(405, { errors: ['unsupported operation'] }))
    return handler(request).catch(failureOf)
  }
}

const json = (status: number, value: unknown): VaultResponse => ({
  status,
  body: new Secret(`${JSON.stringify(value)}\n`),
})

function statusView({ status, version }: Needs): Record<string, unknown> {
  const { seal, initialised, sealed, threshold, shares, progress, attempt } = status()
  return {
    type: seal,
    initialized: initialised,
    sealed,
    t: threshold,
    n: shares,
    progress,
    nonce: attempt,
    recovery_seal: false,
    version,
    migration: false,
    ...(sealed ? {} : { cluster_name: 'keyward', cluster_id: '' }),
    storage_type: 'keyward',
  }
}

function health({ status, version, clock }: Needs, { query }: VaultRequest): VaultResponse {
  const { initialised, sealed } = status()
  const code = (name: string, usual: number): number => {
    const asked = Number(query[name])
    return Number.isInteger(asked) && asked >= 200 && asked <= 599 ? asked : usual
  }
  const unusual = initialised ? code('sealedcode', 503) : code('uninitcode', 501)
  return json(sealed ? unusual : code('activecode', 200), {
    initialized: initialised,
    sealed,
    standby: sealed,
    replication_performance_mode: sealed ? 'unknown' : 'disabled',
    replication_dr_mode: sealed ? 'unknown' : 'disabled',
    server_time_utc: Math.floor(clock.now().getTime() / 1000),
    version,
  })
}

function leader({ status }: Needs): VaultResponse {
  if (status().sealed) throw new AppError('vault.sealed')
  return json(200, { ha_enabled: false, is_self: false, leader_address: '', leader_cluster_address: '' })
}

async function initialise(needs: Needs, request: VaultRequest): Promise<VaultResponse> {
  const body = parseBody(request.body)
  for (const field of ['pgp_keys', 'root_token_pgp_key', 'recovery_pgp_keys', 'stored_shares'])
    if (body[field] && (!Array.isArray(body[field]) || body[field].length > 0))
      throw new AppError('request.invalid', `"${field}" is not supported by this server`)
  const shares = countField(body, 'secret_shares') ?? 0
  const threshold = countField(body, 'secret_threshold') ?? 0
  const { shares: given, rootToken } = await needs.initialise({ seal: 'shamir', shares, threshold })
  const keys = given.map((share) => share.reveal())
  return json(200, {
    keys,
    keys_base64: keys.map((key) => Buffer.from(key, 'hex').toString('base64')),
    root_token: rootToken.reveal(),
  })
}

async function unseal(needs: Needs, request: VaultRequest): Promise<VaultResponse> {
  const body = parseBody(request.body)
  if (booleanField(body, 'reset')) {
    needs.reset()
    return json(200, statusView(needs))
  }
  const key = textField(body, 'key')
  if (!key)
    throw new AppError(
      'request.invalid',
      "'key' must be specified in request body as JSON, or 'reset' set to true",
    )
  await needs.unseal(new Secret(key))
  return json(200, statusView(needs))
}
