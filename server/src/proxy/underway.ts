/** What passes through one channel now, so that it can be cut when a lease that it uses ends before it does. */
export type Underway = {
  begin(cut: Cut): Passage
  /** Cuts what uses the lease; without one, everything. */
  cut(leaseId: string | null, reason: string): void
  isEmpty(): boolean
}

/** One request, with its answer, or one connection. */
export type Passage = {
  /** Told once what it uses; returns why that is over already. */
  use(leaseIds: readonly string[], expiresAt: Date | undefined): string | undefined
  end(): void
}
type Cut = (reason: string) => void
type Entry = { readonly cut: Cut; leaseIds: readonly string[]; timer: NodeJS.Timeout | undefined }

/** Ends of leases that are remembered, for requests whose value was on its way here when the lease ended. */
const remembered = 1000
const expired = 'The time of its lease was over.'

export function createUnderway(now: () => Date): Underway {
  const entries = new Set<Entry>()
  const ended = new Map<string, string>()

  return {
    isEmpty: () => entries.size === 0,
    begin(cut) {
      const entry: Entry = { cut, leaseIds: [], timer: undefined }
      entries.add(entry)
      return {
        use(leaseIds, expiresAt) {
          entry.leaseIds = leaseIds
          const over = leaseIds.flatMap((leaseId) => ended.get(leaseId) ?? [])[0]
          if (over !== undefined || !expiresAt) return over
          const leftMs = expiresAt.getTime() - now().getTime()
          if (leftMs <= 0) return expired
          clearTimeout(entry.timer)
          entry.timer = setTimeout(cut, leftMs, expired)
          return undefined
        },
        end() {
          clearTimeout(entry.timer)
          entries.delete(entry)
        },
      }
    },
    cut(leaseId, reason) {
      if (leaseId !== null) {
        ended.set(leaseId, reason)
        if (ended.size > remembered) ended.delete(ended.keys().next().value ?? '')
      }
      const meant = [...entries].filter(({ leaseIds }) => leaseId === null || leaseIds.includes(leaseId))
      for (const { cut } of meant) cut(reason)
    },
  }
}
