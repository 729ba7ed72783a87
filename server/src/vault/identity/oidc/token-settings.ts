import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { NamedKey } from './named-key.ts'

/** What a role's tokens say, for whom, and by which key. */
export type TokenRole = {
  readonly key: string
  readonly template: string
  readonly clientId: string
  readonly ttlSeconds: number
}

/** Named keys, roles and the issuer in the barrier. Private keys are shown by nothing. */
export type TokenSettings = {
  issuer(reader?: Reader): Promise<string>
  setIssuer(tx: Tx, issuer: string): Promise<void>
  keyNames(reader?: Reader): Promise<string[]>
  key(name: string, reader?: Reader): Promise<NamedKey | undefined>
  setKey(tx: Tx, name: string, key: NamedKey): Promise<void>
  removeKey(tx: Tx, name: string): Promise<void>
  roleNames(reader?: Reader): Promise<string[]>
  role(name: string, reader?: Reader): Promise<TokenRole | undefined>
  setRole(tx: Tx, name: string, role: TokenRole): Promise<void>
  removeRole(tx: Tx, name: string): Promise<void>
}

const keys = 'identity/oidc-key/'
const roles = 'identity/oidc-role/'
const issuerAt = 'identity/oidc-issuer'

const parse = <T>(bytes: Buffer): T => JSON.parse(bytes.toString('utf8')) as T

export function createTokenSettings(
  barrier: Pick<Barrier, 'view' | 'put' | 'delete' | 'list'>,
): TokenSettings {
  return {
    issuer: async (reader) => (await barrier.view(issuerAt, (bytes) => bytes.toString('utf8'), reader)) ?? '',
    setIssuer: (tx, issuer) => barrier.put(tx, issuerAt, issuer, 'hidden'),
    keyNames: (reader) => barrier.list(keys, reader),
    key: (name, reader) => barrier.view(keys + name, parse<NamedKey>, reader),
    setKey: (tx, name, key) => barrier.put(tx, keys + name, JSON.stringify(key)),
    async removeKey(tx, name) {
      await barrier.delete(tx, keys + name)
    },
    roleNames: (reader) => barrier.list(roles, reader),
    role: (name, reader) => barrier.view(roles + name, parse<TokenRole>, reader),
    setRole: (tx, name, role) => barrier.put(tx, roles + name, JSON.stringify(role)),
    async removeRole(tx, name) {
      await barrier.delete(tx, roles + name)
    },
  }
}
