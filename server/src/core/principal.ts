/** Who acts. Written into audit as `<kind>:<id>`. */
export type Principal = {
  readonly kind: 'person' | 'agent' | 'token' | 'system'
  readonly id: string
  readonly name: string
  readonly roles: readonly Role[]
  /** When a person last proved who they are. */
  readonly signedInAt?: Date
  /** When this session last showed a second factor. */
  readonly secondFactorAt?: Date
}
export type Role = 'owner' | 'approver' | 'operator' | 'auditor'

export const actorOf = (principal: Principal): string => `${principal.kind}:${principal.id}`

/** Keyward itself, acting without anybody asking: recovery, expiry, the unattended first run. */
export const systemPrincipal = (name: string): Principal => ({ kind: 'system', id: name, name, roles: [] })
