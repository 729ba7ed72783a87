import { AppError, Secret } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import { containsAddress } from '../../cidr.ts'
import type { Answer, OpenCall } from '../../engine.ts'
import { textField } from '../../fields.ts'
import type { Lockouts } from '../lockouts.ts'
import { assertAddress, type LoginMount, type SignInNeeds, signIn } from '../login.ts'
import type { Role } from './role.ts'
import type { RoleStore } from './role-store.ts'
import { isCurrent, type KeptSecretId, type SecretId, type SecretIds } from './secret-ids.ts'

type Needs = SignInNeeds & {
  lockouts: Pick<Lockouts, 'attemptIn'>
  roles: Pick<RoleStore, 'byRoleId'>
  secretIds: Pick<SecretIds, 'find' | 'spend'>
  mount: LoginMount
  /** Of the mount: `auth/approle/`. */
  path: string
}

type Recognised = { readonly role: Role; readonly kept: KeptSecretId | undefined }

/** `login`: the use of the secret id and the token are one transaction, so that counted uses are exact. */
export function createLogin({ roles, secretIds, tokens, identity, lockouts, mount, path }: Needs) {
  const displayName = path.slice('auth/'.length, -1).replaceAll('/', '-')

  /** The role and its secret id, when both are right; of a role that asks for none, the role alone. */
  async function recognised(tx: Tx, roleId: string, call: OpenCall): Promise<Recognised | undefined> {
    const role = await roles.byRoleId(roleId, tx)
    if (!role) return undefined
    if (!role.bindSecretId) return { role, kept: undefined }
    const given = textField(call.body, 'secret_id')
    if (!given) throw new AppError('request.invalid', 'missing secret_id')
    const kept = await secretIds.find(role, new Secret(given), tx)
    return kept && isCurrent(kept.secretId, call.now) ? { role, kept } : undefined
  }

  async function spend(tx: Tx, { role, kept }: Recognised, call: OpenCall): Promise<SecretId | undefined> {
    if (!kept) return undefined
    if (!containsAddress(kept.secretId.cidrs, call.remoteAddress))
      throw new AppError(
        'request.invalid',
        `source address "${call.remoteAddress ?? ''}" unauthorized through CIDR restrictions on the secret ID`,
      )
    await secretIds.spend(tx, role, kept, call.now)
    return kept.secretId
  }

  async function enter(tx: Tx, roleId: string, call: OpenCall): Promise<Answer> {
    const user = { mountAccessor: mount.accessor, name: roleId }
    const found = await lockouts.attemptIn(tx, user, mount.config().lockout, () =>
      recognised(tx, roleId, call),
    )
    if (!found) return refused
    const { role } = found
    const proof = await spend(tx, found, call)
    if (!containsAddress(role.secretIdCidrs, call.remoteAddress))
      throw new AppError(
        'request.invalid',
        `source address "${call.remoteAddress ?? ''}" unauthorized by CIDR restrictions on the role`,
      )
    const terms = proof?.tokenCidrs.length ? { ...role.terms, boundCidrs: proof.tokenCidrs } : role.terms
    assertAddress(terms, call)
    const metadata = { ...proof?.metadata, role_name: role.name }
    const arrived = { name: role.name, aliasName: role.roleId, displayName, metadata, terms }
    return signIn(tx, { tokens, identity }, mount, arrived, call)
  }

  return async (call: OpenCall): Promise<(tx: Tx) => Promise<Answer>> => {
    const roleId = textField(call.body, 'role_id')
    if (!roleId) throw new AppError('request.invalid', 'missing role_id')
    return (tx) => enter(tx, roleId, call)
  }
}

/**
 * The same for both, so that nobody learns which of them exists. An answer and no failure: a lock that it led to is stored with it.
 */
const refused: Answer = { status: 400, errors: ['invalid role or secret ID'] }
