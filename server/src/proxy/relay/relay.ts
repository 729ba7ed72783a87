import type { Duplex } from 'node:stream'
import type { Route } from '../route.ts'
import { createPostgresRelay } from './postgres.ts'
import { createRedisRelay } from './redis.ts'
import type { RelayNeeds } from './relayed.ts'
import { createSshAgent, sshAgentAuthority } from './ssh-agent.ts'
import { createSshRelay } from './ssh-tunnel.ts'

export type Relays = {
  /** Serves a tunnel that no HTTP passes through; false when the list names no relay for it. */
  serve(client: Duplex, route: Route): boolean
  /** Whether this is no destination, but the SSH agent. */
  isOwn(target: string): boolean
  serveOwn(client: Duplex): Promise<void>
}

export function createRelays(needs: RelayNeeds): Relays {
  const postgres = createPostgresRelay(needs)
  const redis = createRedisRelay(needs)
  const ssh = createSshRelay(needs)
  const agent = createSshAgent(needs)
  return {
    serve(client, route) {
      const rule = route.rules.find(({ relay }) => relay !== undefined)?.relay
      if (!rule) return false
      // Connections of HTTP that this tunnel will not have.
      route.agent.destroy()
      client.on('error', () => client.destroy())
      if (rule.kind === 'postgres') void postgres(client, route, rule)
      else if (rule.kind === 'redis') void redis(client, route, rule)
      else void ssh(client, route)
      return true
    },
    isOwn: (target) => target === sshAgentAuthority,
    serveOwn: agent,
  }
}
