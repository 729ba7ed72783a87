import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type Caller, callerOf, openUnsealedVault } from './vault-server.ts'

type Fields = Record<string, unknown>

export const dataOf = (reply: { body: Fields }): Fields => (reply.body['data'] ?? {}) as Fields
export const authOf = (reply: { body: Fields }): Fields => (reply.body['auth'] ?? {}) as Fields

/** An open vault with one auth method at the path of its name, and callers with and without a token. */
export async function openAuth(t: TestContext, type: string, settings: Fields = {}) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  const enabled = await root('POST', `sys/auth/${type}`, { type, ...settings })
  assert.equal(enabled.status, 204, JSON.stringify(enabled.body))
  const anybody = callerOf(world.vault)
  /** Calls with the token that a login gave. */
  const callWith = (auth: Fields, remoteAddress?: string): Caller => {
    const call = callerOf(world.vault, String(auth['client_token']))
    return (method, path, body, circumstances) =>
      call(method, path, body, { remoteAddress, ...circumstances })
  }
  return { ...world, root, anybody, callWith }
}
