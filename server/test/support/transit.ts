import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { callerOf, openUnsealedVault, type VaultWorld } from './vault-server.ts'

export type Fields = Record<string, unknown>
type Call = ReturnType<typeof callerOf>

export const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Calls below `transit/`: what succeeds gives its data, what is refused its status and first error. */
export type TransitCaller = {
  call: Call
  ok(path: string, body?: Fields): Promise<Fields>
  read(path: string): Promise<Fields>
  refused(path: string, body: Fields | undefined, status: number, error: string | RegExp): Promise<void>
}

export function transitCaller(call: Call): TransitCaller {
  const dataOf = ({ status, body }: Awaited<ReturnType<Call>>): Fields => {
    assert.ok(status < 300, `${status} ${JSON.stringify(body)}`)
    return (body['data'] ?? {}) as Fields
  }
  return {
    call,
    ok: async (path, body) => dataOf(await call('POST', `transit/${path}`, body ?? {})),
    read: async (path) => dataOf(await call('GET', `transit/${path}`)),
    async refused(path, body, status, error) {
      const reply = await call(body ? 'POST' : 'GET', `transit/${path}`, body)
      const [first = ''] = (reply.body['errors'] ?? []) as string[]
      assert.equal(reply.status, status, `${path}: ${JSON.stringify(reply.body)}`)
      if (typeof error === 'string') assert.equal(first, error)
      else assert.match(first, error)
    },
  }
}

/** An open vault with a transit mount. */
export async function openTransit(
  t: TestContext,
  options: Parameters<typeof openUnsealedVault>[1] = {},
): Promise<
  VaultWorld &
    TransitCaller & {
      rootToken: string
      /** The same calls with a token that has these rules alone. */
      withRules(rules: string): Promise<TransitCaller>
    }
> {
  const world = await openUnsealedVault(t, options)
  const call = callerOf(world.vault, world.rootToken)
  assert.equal((await call('POST', 'sys/mounts/transit', { type: 'transit' })).status, 204)
  return {
    ...world,
    ...transitCaller(call),
    async withRules(rules) {
      const name = `p-${randomBytes(4).toString('hex')}`
      assert.equal((await call('PUT', `sys/policies/acl/${name}`, { policy: rules })).status, 204)
      const made = await call('POST', 'auth/token/create', { policies: [name] })
      const auth = made.body['auth'] as Fields
      return transitCaller(callerOf(world.vault, String(auth['client_token'])))
    },
  }
}
