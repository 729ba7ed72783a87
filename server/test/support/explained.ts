// Tokens of policies made as they are needed, and what is said of their requests.
import type { TestContext } from 'node:test'
import { Secret } from '../../src/core/index.ts'
import type { Explanation, ReasonCode } from '../../src/vault/explain/explanation.ts'
import { authOf } from './vault-auth.ts'
import { callerOf, openUnsealedVault } from './vault-server.ts'

export type Method = 'GET' | 'LIST' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
export type Asked = { parameters?: Record<string, unknown>; wrapTtl?: string; remoteAddress?: string }

/** A vault with KV 1 at `old/`, KV 2 at `secret/` and `hidden/`, transit, ways to sign in, and tokens of policies made as they are needed. */
export async function openExplained(t: TestContext, options: Parameters<typeof openUnsealedVault>[1] = {}) {
  const world = await openUnsealedVault(t, options)
  const root = callerOf(world.vault, world.rootToken)
  await root('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } })
  await root('POST', 'sys/mounts/hidden', { type: 'kv', options: { version: '2' } })
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'sys/auth/approle', { type: 'approle' })
  await root('POST', 'sys/auth/oidc', { type: 'oidc' })
  await root('POST', 'secret/data/shop/stripe', { data: { key: 'made-up' } })
  await root('POST', 'hidden/data/plan', { data: { key: 'made-up' } })
  let made = 0
  async function tokenWith(policies: readonly string[], fields: Record<string, unknown> = {}) {
    const names: string[] = []
    for (const policy of policies) {
      const name = `p${made++}`
      names.push(name)
      await root('PUT', `sys/policies/acl/${name}`, { policy })
    }
    const body = { policies: names.length > 0 ? names : ['none'], no_default_policy: true, ...fields }
    const auth = authOf(await root('POST', 'auth/token/create', body))
    const value = String(auth['client_token'])
    const call = callerOf(world.vault, value)
    const explain = (method: Method, path: string, asked: Asked = {}): Promise<Explanation> =>
      world.vault.explain({ kind: 'token', token: new Secret(value) }, { method, path, ...asked }, false)
    return { names, accessor: String(auth['accessor']), call, explain }
  }
  return { ...world, root, tokenWith }
}

export const codesOf = ({ reasons }: Explanation): ReasonCode[] => reasons.map(({ code }) => code)
export const rule = (path: string, ...capabilities: string[]): string =>
  `path "${path}" {\n  capabilities = [${capabilities.map((name) => `"${name}"`).join(', ')}]\n}\n`
