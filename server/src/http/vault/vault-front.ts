import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock, Log } from '../../core/index.ts'
import type { Vault } from '../../vault/index.ts'
import { acceptList } from './accept-list.ts'
import { createDialect } from './dialect.ts'
import { createFastLane } from './fast-lane.ts'
import { createVaultHandler } from './vault-handler.ts'

const { Server: TlsServer } = process.getBuiltinModule('node:tls')

type Needs = {
  vault: Pick<Vault, 'handle' | 'admits'>
  log: Log
  clock: Pick<Clock, 'now'>
  /** Whether a request with this Host may be answered; what may not is refused by the server behind the lane. */
  knowsHost: (host: string) => boolean
}

export type VaultFront = {
  /** Answers requests for `/v1/` on node:http. */
  handler: (request: IncomingMessage, response: ServerResponse) => void
  /** Puts the fast lane, and the method LIST, in front of a server that has `handler`. */
  attach(server: Server): { closeAll(): void }
}

/** The two ways into the vault's dialect. What holds for one holds for the other: a test compares their answers. */
export function createVaultFront({ vault, log, clock, knowsHost }: Needs): VaultFront {
  const answer = createDialect({ vault, log })
  return {
    handler: createVaultHandler({ answer, admits: (token, path) => vault.admits(token, path) }),
    attach(server) {
      // Over TLS, the connection that speaks HTTP is there after the handshake.
      const event = server instanceof TlsServer ? 'secureConnection' : 'connection'
      const complete = server.listeners(event)
      server.removeAllListeners(event)
      const handOver = (socket: Socket, bytes: Buffer): void => {
        for (const listener of complete) listener.call(server, socket)
        acceptList(socket)
        socket.unshift(bytes)
      }
      const lane = createFastLane({ answer, knowsHost, handOver, clock, limits: server })
      server.on(event, lane.accept)
      return { closeAll: lane.closeAll }
    },
  }
}
