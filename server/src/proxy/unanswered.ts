import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** The answers that are not over yet, of each connection. */
type Unanswered = {
  add(socket: Duplex, response: ServerResponse): void
  /**
   * Ends them, with their connection; false when there were none. Who takes a connection over from Node has to: Node forgets those that wait
   * there for their turn, so that nobody would hear of their end.
   */
  end(socket: Duplex): boolean
}

export function createUnanswered(): Unanswered {
  const all = new WeakMap<Duplex, Set<ServerResponse>>()
  return {
    add(socket, response) {
      const own = all.get(socket) ?? new Set()
      all.set(socket, own.add(response))
      response.once('close', () => own.delete(response))
    },
    end(socket) {
      const own = [...(all.get(socket) ?? [])]
      if (own.length === 0) return false
      for (const response of own) response.destroy()
      socket.destroy()
      return true
    },
  }
}
