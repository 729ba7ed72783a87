import type { Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec } from '../../engine.ts'
import { invalid } from '../record-fields.ts'
import { findIssuer } from './authority.ts'
import { type Role, roleFrom } from './role.ts'
import type { PkiStore } from './store.ts'

export function rolePaths({ roles, ...store }: PkiStore): PathSpec[] {
  return [
    {
      pattern: 'roles',
      async list() {
        const names = await roles.names()
        return names.length === 0 ? undefined : { data: { keys: names }, note: { count: names.length } }
      },
    },
    {
      pattern: 'roles/{role}',
      async read({ params }) {
        const role = await roles.get(params['role'] ?? '')
        return role && { data: role }
      },
      update: (tx, call) => writeRole({ roles, ...store }, tx, call, undefined),
      async patch(tx, call) {
        const before = await roles.get(call.params['role'] ?? '', tx)
        if (!before) throw invalid('Unable to fetch role entry to patch')
        return writeRole({ roles, ...store }, tx, call, before)
      },
      async delete(tx, { params }) {
        await roles.remove(tx, params['role'] ?? '')
        return {}
      },
    },
  ]
}

async function writeRole(
  store: PkiStore,
  tx: Tx,
  { params, body }: Call,
  before: Role | undefined,
): Promise<Answer> {
  const name = params['role'] ?? ''
  if (!/^\w(?:[\w.-]*\w)?$/.test(name)) throw invalid(`"${name}" cannot be the name of a role`)
  const { role, warnings } = roleFrom(body, before)
  await store.roles.put(tx, name, role)
  const issuer = await findIssuer(store, role.issuer_ref, tx)
  const missing =
    role.issuer_ref === 'default'
      ? 'Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set'
      : `Issuing Certificate was set to ${role.issuer_ref} but no issuing certificate currently has that name`
  return { data: role, warnings: issuer ? warnings : [...warnings, missing], note: { role: name } }
}
