import { AppError, type Clock, Secret } from '../core/index.ts'
import type { Cluster } from './cluster.ts'
import { booleanField, countField, listField, parseBody, textField } from './fields.ts'
import { failureOf } from './render.ts'
import type { VaultRequest, VaultResponse } from './request-context.ts'
import { healthCode } from './seal/health-view.ts'
import type { AutoSealKind, SealKind } from './seal/key-wrapper.ts'
import { type Handlers, json } from './seal/owner-requests.ts'
import { readRecipients } from './seal/pgp.ts'
import { sharesView } from './seal/rekey.ts'
import type { VaultStatus } from './seal/seal.ts'
import type { HolderOptions, SealOptions } from './seal/seal-config.ts'

type Initialised = {
  readonly shares: readonly Secret[]
  readonly recoveryShares: readonly Secret[]
  readonly rootToken: Secret
}
type Needs = {
  clock: Pick<Clock, 'now'>
  /** Reported to clients, which compare it. */
  version: string
  status: () => VaultStatus
  cluster: Cluster['current']
  /** What seals a vault that is made here. */
  newSeal: () => SealKind
  initialise: (options: SealOptions) => Promise<Initialised>
  unseal: (share: Secret, migrate: boolean) => Promise<VaultStatus>
  reset: () => void
  /** What the owners do with their shares. */
  owners: Handlers
}

/** The paths that answer without a token, sealed or not. Undefined: it is none of them. */
export function createSealRequests(
  needs: Needs,
): (request: VaultRequest) => Promise<VaultResponse> | undefined {
  const paths = new Map(
    Object.entries<Handlers[string]>({
      'sys/seal-status': { GET: async () => json(200, statusView(needs)) },
      'sys/health': {
        GET: async (request) => health(needs, request),
        HEAD: async (request) => ({ ...health(needs, request), body: undefined }),
      },
      'sys/leader': { GET: async () => json(200, leader) },
      'sys/init': {
        GET: async () => json(200, { initialized: needs.status().initialised }),
        PUT: (request) => initialise(needs, request),
      },
      'sys/unseal': { PUT: (request) => unseal(needs, request) },
      ...needs.owners,
    }),
  )
  return (request) => {
    if (!request.path.startsWith('sys/')) return undefined
    const path = paths.get(request.path)
    if (!path) return undefined
    const handler = path[request.method === 'POST' ? 'PUT' : request.method]
    if (!handler) return Promise.resolve(json(405, { errors: ['unsupported operation'] }))
    return handler(request).catch(failureOf)
  }
}

/** There is one server, and it is not called a leader. */
const leader = { ha_enabled: false, is_self: false, leader_address: '', leader_cluster_address: '' }

function statusView({
  status,
  version,
  cluster,
}: Pick<Needs, 'status' | 'version' | 'cluster'>): Record<string, unknown> {
  const { seal, initialised, sealed, threshold, shares, progress, attempt, migration } = status()
  const recovery = seal !== 'shamir'
  return {
    type: seal,
    initialized: initialised,
    sealed,
    t: threshold,
    n: shares,
    progress,
    nonce: attempt,
    recovery_seal: recovery,
    ...(recovery ? { recovery_seal_type: 'shamir' } : {}),
    version,
    migration,
    ...clusterView(cluster()),
    storage_type: 'keyward',
  }
}

const clusterView = (cluster: ReturnType<Needs['cluster']>) =>
  cluster ? { cluster_name: cluster.name, cluster_id: cluster.id } : {}

function health({ status, version, clock, cluster }: Needs, { query }: VaultRequest): VaultResponse {
  const now = status()
  const { initialised, sealed } = now
  return json(healthCode(now, query), {
    initialized: initialised,
    sealed,
    standby: sealed,
    replication_performance_mode: sealed ? 'unknown' : 'disabled',
    replication_dr_mode: sealed ? 'unknown' : 'disabled',
    server_time_utc: Math.floor(clock.now().getTime() / 1000),
    version,
    ...clusterView(cluster()),
  })
}

async function initialise(needs: Needs, request: VaultRequest): Promise<VaultResponse> {
  const body = parseBody(request.body)
  const holders = (prefix: string): HolderOptions => ({
    shares: countField(body, `${prefix}_shares`) ?? 0,
    threshold: countField(body, `${prefix}_threshold`) ?? 0,
    pgpKeys: listField(body, prefix === 'secret' ? 'pgp_keys' : `${prefix}_pgp_keys`) ?? [],
  })
  const seal = needs.newSeal()
  const [reader] = await readRecipients(listField(body, 'root_token_pgp_key') ?? [])
  const made = await needs.initialise(sealOptions(seal, holders('secret'), holders('recovery')))
  const token = made.rootToken.reveal()
  const recovery = sharesView(made.recoveryShares)
  return json(200, {
    ...sharesView(made.shares),
    ...(made.recoveryShares.length > 0
      ? { recovery_keys: recovery.keys, recovery_keys_base64: recovery.keys_base64 }
      : {}),
    root_token: reader ? (await reader.encrypt(token)).toString('base64') : token,
  })
}

/** Shares of the one kind or the other: what does not fit the seal is refused, as it would not be given out. */
function sealOptions(seal: SealKind, secret: HolderOptions, recovery: HolderOptions): SealOptions {
  const foreign = seal === 'shamir' ? recovery : secret
  const name = seal === 'shamir' ? 'recovery' : 'secret'
  const given = [
    ...(foreign.shares > 0 ? [`${name}_shares`] : []),
    ...(foreign.threshold > 0 ? [`${name}_threshold`] : []),
    ...(foreign.pgpKeys?.length ? [name === 'secret' ? 'pgp_keys' : 'recovery_pgp_keys'] : []),
  ]
  if (given.length > 0)
    throw new AppError('request.invalid', `parameters ${given.join(',')} not applicable to seal type ${seal}`)
  if (seal === 'shamir') return { seal, ...secret }
  const asked = recovery.shares > 0 || recovery.threshold > 0 || (recovery.pgpKeys?.length ?? 0) > 0
  const auto: AutoSealKind = seal
  return asked ? { seal: auto, recovery } : { seal: auto }
}

async function unseal(needs: Needs, request: VaultRequest): Promise<VaultResponse> {
  const body = parseBody(request.body)
  if (booleanField(body, 'reset')) {
    if (!needs.status().sealed) throw new AppError('request.invalid', 'vault is unsealed')
    needs.reset()
    return json(200, statusView(needs))
  }
  const key = textField(body, 'key')
  if (!key)
    throw new AppError(
      'request.invalid',
      "'key' must be specified in request body as JSON, or 'reset' set to true",
    )
  await needs.unseal(new Secret(key), booleanField(body, 'migrate') ?? false)
  return json(200, statusView(needs))
}
