import type { OpenConnections } from '@keyward/contract'
import { isPassedThrough } from './pass-through.ts'
import type { Route } from './route.ts'

type Kind = keyof OpenConnections
/** What is open on one channel, by what passes through. */
export type OpenNow = {
  /** Counts one in; returns what counts it out again. */
  begin(kind: Kind): () => void
}

/** Changes that come together are told once: a gauge is looked at every few seconds. */
const patienceMs = 250

export const nothingOpen: OpenConnections = {
  https: 0,
  websocket: 0,
  unopened: 0,
  postgres: 0,
  redis: 0,
  ssh: 0,
}

/** What a tunnel of this route carries. */
export const carriedBy = (route: Route): Kind =>
  route.rules.find(({ relay }) => relay !== undefined)?.relay?.kind ??
  (isPassedThrough(route) ? 'unopened' : 'https')

export function createOpenNow(tell: (counts: OpenConnections) => void): OpenNow {
  const counts = { ...nothingOpen }
  let isTimed = false
  const change = (kind: Kind, by: 1 | -1): void => {
    counts[kind] += by
    if (isTimed) return
    isTimed = true
    setTimeout(() => {
      isTimed = false
      tell({ ...counts })
    }, patienceMs)
  }
  return {
    begin(kind) {
      change(kind, 1)
      let isOpen = true
      return () => {
        if (isOpen) change(kind, -1)
        isOpen = false
      }
    },
  }
}
