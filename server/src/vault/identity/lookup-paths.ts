import { AppError } from '../../core/index.ts'
import type { Body, PathSpec } from '../engine.ts'
import { textField } from '../fields.ts'
import type { IdentityParts } from './identity.ts'
import { entityView, groupView } from './views.ts'

type Query =
  | { readonly by: 'id' | 'name' | 'aliasId'; readonly value: string }
  | { readonly by: 'alias'; readonly name: string; readonly mountAccessor: string }

type Finders<T> = {
  read(id: string): Promise<T | undefined>
  byName(name: string): Promise<T | undefined>
  byAliasId(id: string): Promise<T | undefined>
  byAliasName(mountAccessor: string, name: string): Promise<T | undefined>
}

/** `identity/lookup/`: finds an entity or a group by whatever is known of it. Nothing found is 204. */
export function lookupPaths(parts: IdentityParts): PathSpec[] {
  const { entities, groups } = parts
  return [
    {
      pattern: 'lookup/entity',
      async post({ body }) {
        const entity = await found(entities, queryIn(body))
        return entity ? { data: await entityView(parts, entity) } : {}
      },
    },
    {
      pattern: 'lookup/group',
      async post({ body }) {
        const group = await found(groups, queryIn(body))
        return group ? { data: groupView(parts, group) } : {}
      },
    },
  ]
}

function found<T>(finders: Finders<T>, query: Query): Promise<T | undefined> {
  switch (query.by) {
    case 'id':
      return finders.read(query.value)
    case 'name':
      return finders.byName(query.value)
    case 'aliasId':
      return finders.byAliasId(query.value)
    case 'alias':
      return finders.byAliasName(query.mountAccessor, query.name)
  }
}

function queryIn(body: Body): Query {
  const given = (['id', 'name', 'alias_id', 'alias_name', 'alias_mount_accessor'] as const).flatMap(
    (field) => {
      const value = textField(body, field)
      return value ? [{ field, value }] : []
    },
  )
  const [first] = given
  if (!first) throw new AppError('request.invalid', 'query parameter not supplied')
  const name = textField(body, 'alias_name')
  const mountAccessor = textField(body, 'alias_mount_accessor')
  if (given.length === 2 && name && mountAccessor) return { by: 'alias', name, mountAccessor }
  if (given.length > 1)
    throw new AppError(
      'request.invalid',
      'query parameter conflict; please supply distinct set of query parameters',
    )
  if (name || mountAccessor)
    throw new AppError('request.invalid', "both 'alias_name' and 'alias_mount_accessor' needs to be set")
  if (first.field === 'id' || first.field === 'name') return { by: first.field, value: first.value }
  return { by: 'aliasId', value: first.value }
}
