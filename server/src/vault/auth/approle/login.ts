import { AppError, Secret } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import { containsAddress } from '../../cidr.ts'
import type { Answer, OpenCall } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { assertAddress, type LoginMount, type SignInNeeds, signIn } from '../login.ts'
import type { Role } from './role.ts'
import type { RoleStore } from './role-store.ts'
import { isCurrent, type SecretId, type SecretIds } from './secret-ids.ts'

type Needs = SignInNeeds & {
  roles: Pick<RoleStore, 'byRoleId'>
  secretIds: Pick<SecretIds, 'find' | 'spend'>
  mount: LoginMount
  /** Of the mount: `auth/approle/`. */
  path: string
}

/** `login`: the use of the secret id and the token are one transaction, so that counted uses are exact. */
export function createLogin({ roles, secretIds, tokens, identity, mount, path }: Needs) {
  const displayName = path.slice('auth/'.length, -1).replaceAll('/', '-')

  /** Checks and spends the secret id; undefined when the role asks for none. */
  async function prove(tx: Tx, role: Role, call: OpenCall): Promise<SecretId | undefined> {
    if (!role.bindSecretId) return undefined
    const given = textField(call.body, 'secret_id')
    if (!given) throw new AppError('request.invalid', 'missing secret_id')
    const kept = await secretIds.find(role, new Secret(given), tx)
    if (!kept || !isCurrent(kept.secretId, call.now)) throw refused()
    if (!containsAddress(kept.secretId.cidrs, call.remoteAddress))
      throw new AppError(
        'request.invalid',
        `source address "${call.remoteAddress ?? ''}" unauthorized through CIDR restrictions on the secret ID`,
      )
    await secretIds.spend(tx, role, kept, call.now)
    return kept.secretId
  }

  async function enter(tx: Tx, roleId: string, call: OpenCall): Promise<Answer> {
    const role = await roles.byRoleId(roleId, tx)
    if (!role) throw refused()
    const proof = await prove(tx, role, call)
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

/** The same for both, so that nobody learns which of them exists. */
const refused = (): AppError => new AppError('request.invalid', 'invalid role or secret ID')
