// A file of its own: the console takes it without the shapes beside it.
import type { OpenConnections } from './reach.ts'

const words: Record<keyof OpenConnections, string> = {
  https: 'HTTPS',
  websocket: 'WebSocket',
  unopened: 'unopened',
  postgres: 'PostgreSQL',
  redis: 'Redis',
  ssh: 'SSH',
}

/** `2 HTTPS, 1 PostgreSQL`; empty when none is open. */
export const openText = (open: OpenConnections): string =>
  Object.entries(words)
    .flatMap(([kind, word]) => {
      const count = open[kind as keyof OpenConnections]
      return count > 0 ? [`${count} ${word}`] : []
    })
    .join(', ')
