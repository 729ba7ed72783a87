import type { Duplex, Transform } from 'node:stream'
import type { Route } from '../route.ts'
import { dial } from './dial.ts'
import { denied } from './refused.ts'
import { answered, joined, metered, type Relayed, type RelayNeeds, serve, step } from './relayed.ts'

const greeting = Buffer.from('SSH-2.0-')

/** A way to an SSH server that a key is lent for. What passes is encrypted between the two; only that it is SSH can be seen. */
export function createSshRelay(needs: RelayNeeds) {
  const { ask, sandboxId, limits, ledger } = needs

  async function converse(relayed: Relayed): Promise<void> {
    const { client, route, tally } = relayed
    const { authority } = route
    relayed.borrow(await answered(ask('sshTunnel', { sandboxId, ...authority })))
    const opened = {
      sandboxId,
      ...authority,
      ...relayed.about,
      ...tally,
      status: null,
      reason: 'The tunnel was opened.',
    }
    const { budgets: _, expiresAt: __, ...told } = opened
    await ledger.report(told)
    const upstream = await dial(route, limits)
    relayed.own(upstream)
    await joined(
      relayed,
      [client, greeted('client'), metered(tally, 'bytesOut'), upstream],
      [upstream, greeted('server'), metered(tally, 'bytesIn'), client],
    )
  }

  return (client: Duplex, route: Route): Promise<void> =>
    serve(needs, {
      client,
      route,
      method: 'SSH',
      work: converse,
      say: ({ reason }) => `Keyward: ${reason}\r\n`,
    })
}

/** Nothing but SSH begins like this (RFC 4253, 4.2); lines that a server may send before are not waited for. */
function greeted(who: string): Transform {
  let seen = 0
  return step((chunk) => {
    const expected = greeting.subarray(seen, seen + chunk.length)
    if (!chunk.subarray(0, expected.length).equals(expected)) throw denied(`The ${who} does not speak SSH.`)
    seen += expected.length
    return chunk
  })
}
