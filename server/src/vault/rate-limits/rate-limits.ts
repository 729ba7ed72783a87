import { type Clock, Secret } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { VaultRequest, VaultResponse } from '../request-context.ts'

/** So many requests in so many seconds, for each address that they come from, or for all together. */
export type RateLimit = {
  readonly name: string
  /** A mount or a path, without a slash at its beginning; empty: everything. A `*` at its end stands for whatever follows. */
  readonly path: string
  readonly rate: number
  readonly intervalSeconds: number
  /** Who goes beyond the limit is refused for so long; 0: until there is room again. */
  readonly blockSeconds: number
  readonly groupBy: 'ip' | 'none'
}

export type RateLimits = {
  load(): Promise<void>
  forget(): void
  all(): readonly RateLimit[]
  save(tx: Tx, limit: RateLimit): Promise<void>
  remove(tx: Tx, name: string): Promise<void>
  /** Paths that no limit counts, as they are configured. */
  exempt(): readonly string[]
  setExempt(tx: Tx, paths: readonly string[]): Promise<void>
  around(handle: Handle): Handle
}
type Handle = (request: VaultRequest) => Promise<VaultResponse>
type Stored = { readonly limits: readonly RateLimit[]; readonly exempt: readonly string[] }
type Bucket = { tokens: number; at: number; blockedUntil: number }

const storedAt = 'sys/rate-limits'
/** Addresses are many, and each costs memory: the oldest are forgotten, which is as if they had been quiet. */
const mostBuckets = 100_000
const nothing: Stored = { limits: [], exempt: [] }

export function createRateLimits({
  barrier,
  now,
}: {
  barrier: Pick<Barrier, 'get' | 'put'>
  now: Clock['now']
}): RateLimits {
  let current = nothing
  const buckets = new Map<string, Bucket>()

  const stored = async (reader?: Reader): Promise<Stored> => {
    const bytes = await barrier.get(storedAt, reader)
    return bytes ? (JSON.parse(bytes.toString('utf8')) as Stored) : nothing
  }
  async function change(tx: Tx, next: (known: Stored) => Stored): Promise<void> {
    const changed = next(await stored(tx))
    await barrier.put(tx, storedAt, JSON.stringify(changed))
    tx.afterCommit(() => adopt(changed))
  }
  function adopt(next: Stored): void {
    current = next
    buckets.clear()
  }

  /** Of the limits that fit, the one that says most about the path. */
  function limitOf(path: string): RateLimit | undefined {
    if (current.exempt.some((pattern) => fits(pattern, path))) return undefined
    return current.limits
      .filter((limit) => limit.path === '' || fits(limit.path, path))
      .sort((a, b) => b.path.length - a.path.length)[0]
  }

  function hasRoom(limit: RateLimit, address: string): boolean {
    const at = now().getTime()
    const key = `${limit.name}\0${limit.groupBy === 'ip' ? address : ''}`
    const bucket = buckets.get(key) ?? { tokens: limit.rate, at, blockedUntil: 0 }
    if (bucket.blockedUntil > at) return false
    const gained = (Math.max(0, at - bucket.at) / 1000) * (limit.rate / limit.intervalSeconds)
    const tokens = Math.min(Math.max(1, limit.rate), bucket.tokens + gained)
    const passes = tokens >= 1
    const blockedUntil = passes ? 0 : at + limit.blockSeconds * 1000
    // Put in anew, so that the map begins with those that were quiet longest.
    buckets.delete(key)
    buckets.set(key, { tokens: passes ? tokens - 1 : tokens, at, blockedUntil })
    const [oldest = ''] = buckets.keys()
    if (buckets.size > mostBuckets) buckets.delete(oldest)
    return passes
  }

  return {
    load: async () => adopt(await stored()),
    forget: () => adopt(nothing),
    all: () => current.limits,
    exempt: () => current.exempt,
    save: (tx, limit) =>
      change(tx, (known) => ({
        ...known,
        limits: [...known.limits.filter(({ name }) => name !== limit.name), limit],
      })),
    remove: (tx, name) =>
      change(tx, (known) => ({ ...known, limits: known.limits.filter((limit) => limit.name !== name) })),
    setExempt: (tx, exempt) => change(tx, (known) => ({ ...known, exempt })),
    around: (handle) => (request) => {
      if (current.limits.length === 0) return handle(request)
      const limit = limitOf(request.path)
      if (!limit || hasRoom(limit, request.remoteAddress ?? '')) return handle(request)
      const errors = [`request path "${request.path}": rate limit quota exceeded`]
      return Promise.resolve({ status: 429, body: new Secret(`${JSON.stringify({ errors })}\n`) })
    },
  }
}

/** `secret` and `secret/` stand for the mount with all below it, `secret/a*` for what begins so, anything else for itself. */
function fits(pattern: string, path: string): boolean {
  if (pattern.endsWith('*')) return path.startsWith(pattern.slice(0, -1))
  const place = pattern.replace(/\/+$/, '')
  return path === place || path.startsWith(`${place}/`)
}
