/** What a service has told of: a place, such as a repository, and names in it, such as a commit or a branch. */
export type News = {
  readonly place: string
  readonly topics: readonly string[]
  /** Where it tells of this, it tells of every change: nobody has to ask. */
  readonly steady: boolean
}

/** Hears of one topic from its making on, until it is closed. */
export type Hearing = {
  /** Whether the service tells of every change in this place: then nobody has to ask it again and again. */
  isTold(): boolean
  /** Whether it has told of the topic since this was asked last. */
  heard(): boolean
  /** Calls `wake` once, when it tells; at once when it has told since `heard` was asked. Gives what takes it back. */
  next(wake: () => void): () => void
  close(): void
}

export type Told = {
  /** The service of this connection has told of something. Who sent it has been made sure of. */
  tell(connectionId: string, news: News): void
  hear(connectionId: string, about: { place: string; topic: string }): Hearing
}

/** Places that are known to be told of; the oldest are forgotten, and asked about again and again. */
const mostPlaces = 10_000

/** Who waits for services, in this process. What is told while nobody hears is lost: who begins to hear asks once, after that. */
export function createTold(): Told {
  const places = new Set<string>()
  const hearings = new Map<string, Set<() => void>>()
  // Services do not tell names of places apart by the case of their letters.
  const placeOf = (connectionId: string, place: string): string => `${connectionId} ${place.toLowerCase()}`

  function remember(where: string): void {
    places.delete(where)
    places.add(where)
    const [oldest] = places.size > mostPlaces ? places : []
    if (oldest !== undefined) places.delete(oldest)
  }

  return {
    tell(connectionId, { place, topics, steady }) {
      const where = placeOf(connectionId, place)
      if (steady) remember(where)
      for (const topic of new Set(topics)) for (const told of hearings.get(`${where} ${topic}`) ?? []) told()
    },
    hear(connectionId, { place, topic }) {
      const where = placeOf(connectionId, place)
      const key = `${where} ${topic}`
      let isHeard = false
      let wake: (() => void) | undefined
      const told = (): void => {
        isHeard = true
        wake?.()
        wake = undefined
      }
      const all = hearings.get(key) ?? new Set()
      hearings.set(key, all.add(told))
      return {
        isTold: () => places.has(where),
        heard() {
          const before = isHeard
          isHeard = false
          return before
        },
        next(call) {
          wake = call
          if (isHeard) told()
          return () => {
            wake = undefined
          }
        },
        close() {
          all.delete(told)
          if (all.size === 0) hearings.delete(key)
        },
      }
    },
  }
}
