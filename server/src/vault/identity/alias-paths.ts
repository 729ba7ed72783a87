import { AppError } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Answer, Call, PathSpec } from '../engine.ts'
import { textField } from '../fields.ts'
import { customMetadataField, listedWith } from './fields.ts'
import type { IdentityParts } from './identity.ts'
import { type Alias, type Entity, newAlias, newEntity, sameTexts } from './records.ts'
import { aliasInfo, aliasView } from './views.ts'

/** `identity/entity-alias`: under which names the auth methods know an entity. */
export function aliasPaths(parts: IdentityParts): PathSpec[] {
  const { entities, mountOf, changed } = parts
  return [
    { pattern: 'entity-alias', update: (tx, call) => writeAlias(parts, tx, call) },
    { pattern: 'entity-alias/id', list: () => listAliases(parts) },
    {
      pattern: 'entity-alias/id/{id}',
      exists: async ({ params }, reader) =>
        (await entities.byAliasId(params['id'] ?? '', reader)) !== undefined,
      async read({ params }) {
        const entity = await entities.byAliasId(params['id'] ?? '')
        const alias = entity?.aliases.find(({ id }) => id === params['id'])
        return entity && alias && { data: aliasView(mountOf, entity.id, alias) }
      },
      update: (tx, call) => writeAlias(parts, tx, call),
      async delete(tx, { params }) {
        const entity = await entities.byAliasId(params['id'] ?? '', tx)
        if (!entity) return {}
        await entities.save(tx, {
          ...entity,
          aliases: entity.aliases.filter(({ id }) => id !== params['id']),
        })
        changed(tx, entity.id)
        return { note: { entity: entity.id } }
      },
    },
  ]
}

async function listAliases({ entities, mountOf }: IdentityParts): Promise<Answer | undefined> {
  const all = await Promise.all((await entities.ids()).map((id) => entities.read(id)))
  const items = all
    .filter((entity) => entity !== undefined)
    .flatMap((entity) =>
      entity.aliases.map((alias) => ({
        key: alias.id,
        id: alias.id,
        info: { ...aliasInfo(mountOf, alias), canonical_id: entity.id },
      })),
    )
  return listedWith(items)
}

/** What a request says about an alias. Empty texts say nothing. */
type Wanted = {
  readonly id: string | undefined
  readonly name: string
  readonly mountAccessor: string
  readonly canonicalId: string
  readonly customMetadata: Record<string, string> | undefined
}

const wantedIn = ({ body, params }: Call): Wanted => ({
  id: params['id'] ?? (textField(body, 'id') || undefined),
  name: textField(body, 'name') ?? '',
  mountAccessor: textField(body, 'mount_accessor') ?? '',
  canonicalId: (textField(body, 'canonical_id') || textField(body, 'entity_id')) ?? '',
  customMetadata: customMetadataField(body),
})

async function writeAlias(parts: IdentityParts, tx: Tx, call: Call): Promise<Answer> {
  const wanted = wantedIn(call)
  const now = call.now.getTime()
  if (wanted.id !== undefined) {
    const entity = await parts.entities.byAliasId(wanted.id, tx)
    const alias = entity?.aliases.find(({ id }) => id === wanted.id)
    if (!entity || !alias) throw new AppError('request.invalid', 'invalid alias ID provided')
    return changeAlias(parts, tx, { entity, alias }, wanted, now)
  }
  const { mountAccessor, name } = wanted
  if (mountAccessor === '' || name === '')
    throw new AppError('request.invalid', "'id' or 'mount_accessor' and 'name' must be provided")
  assertMount(parts, mountAccessor)
  const entity = await parts.entities.byAliasName(mountAccessor, name, tx)
  const alias = entity?.aliases.find((known) => isKnownAs(known, mountAccessor, name))
  return entity && alias
    ? changeAlias(parts, tx, { entity, alias }, wanted, now)
    : addAlias(parts, tx, wanted, now)
}

const isKnownAs = (alias: Alias, mountAccessor: string, name: string): boolean =>
  alias.mountAccessor === mountAccessor && alias.name.toLowerCase() === name.toLowerCase()

function assertMount({ mountOf }: IdentityParts, accessor: string): void {
  if (!mountOf(accessor)) throw new AppError('request.invalid', `invalid mount accessor "${accessor}"`)
}

const answerOf = (alias: Alias, entity: Entity): Answer => ({
  data: { id: alias.id, canonical_id: entity.id },
  note: { alias: alias.id, entity: entity.id },
})

async function addAlias(parts: IdentityParts, tx: Tx, wanted: Wanted, now: number): Promise<Answer> {
  const { entities, changed } = parts
  const { canonicalId, mountAccessor, name, customMetadata = null } = wanted
  const known = canonicalId === '' ? newEntity({ now }) : await entities.read(canonicalId, tx)
  if (!known) throw new AppError('request.invalid', 'invalid canonical ID')
  if (known.aliases.some((other) => other.mountAccessor === mountAccessor))
    throw new AppError('request.invalid', 'Alias already exists for requested entity and mount accessor')
  const alias = newAlias({ name, mountAccessor, customMetadata, now })
  await entities.save(tx, { ...known, aliases: [...known.aliases, alias], updatedAt: now })
  changed(tx, known.id)
  return answerOf(alias, known)
}

/** Renames an alias, moves it to another mount or gives it to another entity. */
async function changeAlias(
  parts: IdentityParts,
  tx: Tx,
  { entity, alias }: { entity: Entity; alias: Alias },
  wanted: Wanted,
  now: number,
): Promise<Answer> {
  const { entities, changed } = parts
  const next: Alias = {
    ...alias,
    name: wanted.name || alias.name,
    mountAccessor: wanted.mountAccessor || alias.mountAccessor,
    customMetadata: wanted.customMetadata ?? alias.customMetadata,
    updatedAt: now,
  }
  const target = wanted.canonicalId || entity.id
  if (target === entity.id && isSame(alias, next)) return {}
  assertMount(parts, next.mountAccessor)
  const owner = await entities.byAliasName(next.mountAccessor, next.name, tx)
  const other = owner?.aliases.find((known) => isKnownAs(known, next.mountAccessor, next.name))
  if (other && other.id !== alias.id)
    throw new AppError('request.invalid', 'alias with combination of mount accessor and name already exists')
  const home = target === entity.id ? entity : await entities.read(target, tx)
  if (!home) throw new AppError('request.invalid', "given 'canonical_id' is not associated with an entity")
  const rest = home.aliases.filter(({ id }) => id !== alias.id)
  if (rest.some(({ mountAccessor }) => mountAccessor === next.mountAccessor))
    throw new AppError(
      'request.invalid',
      "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor'",
    )
  if (home.id !== entity.id)
    await entities.save(tx, { ...entity, aliases: entity.aliases.filter(({ id }) => id !== alias.id) })
  await entities.save(tx, { ...home, aliases: [...rest, next], updatedAt: now })
  changed(tx)
  return answerOf(next, home)
}

const isSame = (a: Alias, b: Alias): boolean =>
  a.name === b.name && a.mountAccessor === b.mountAccessor && sameTexts(a.customMetadata, b.customMetadata)
