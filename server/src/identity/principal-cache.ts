import type { Clock } from '../core/index.ts'
import type { AgentPrincipal, PersonPrincipal } from './identity.ts'

export type Authenticated = {
  readonly principal: PersonPrincipal | AgentPrincipal
  /** The row that a use is noted in. */
  readonly noted: { readonly in: 'session' | 'agent'; readonly id: string }
  /** Milliseconds since 1970; null when it does not expire. */
  readonly expiresAt: number | null
}

/** How long a change made by another process may go unseen; a change made by this one is seen at once. */
const staleMs = 3000
const capacity = 10_000

/** Who a token belongs to, by the token's hash. Nothing is remembered about tokens that are wrong. */
export function createPrincipalCache(clock: Pick<Clock, 'now'>) {
  const entries = new Map<string, { value: Authenticated; readAt: number }>()
  let generation = 0

  return {
    get(hash: string): Authenticated | undefined {
      const entry = entries.get(hash)
      if (!entry) return undefined
      const age = clock.now().getTime() - entry.readAt
      if (age >= 0 && age < staleMs) return entry.value
      entries.delete(hash)
      return undefined
    },
    /** Call before reading: what is read while something changes is not kept. */
    begin(): (hash: string, value: Authenticated) => void {
      const begun = generation
      return (hash, value) => {
        if (begun !== generation) return
        const [oldest] = entries.keys()
        if (entries.size >= capacity && oldest !== undefined) entries.delete(oldest)
        entries.set(hash, { value, readAt: clock.now().getTime() })
      }
    },
    clear(): void {
      generation++
      entries.clear()
    },
  }
}
