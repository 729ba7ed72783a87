import type { Duplex } from 'node:stream'
import type { Route } from '../route.ts'
import { createPostgresRelay } from './postgres.ts'
import { createRedisRelay } from './redis.ts'
import type { RelayNeeds } from './relayed.ts'

/** Serves a tunnel that no HTTP passes through; false when the list names no relay for it. */
export function createRelays(needs: RelayNeeds) {
  const postgres = createPostgresRelay(needs)
  const redis = createRedisRelay(needs)
  return (client: Duplex, route: Route): boolean => {
    const rule = route.rules.find(({ relay }) => relay !== undefined)?.relay
    if (!rule) return false
    // Connections of HTTP that this tunnel will not have.
    route.agent.destroy()
    client.on('error', () => client.destroy())
    if (rule.kind === 'postgres') void postgres(client, route, rule)
    if (rule.kind === 'redis') void redis(client, route, rule)
    return true
  }
}
