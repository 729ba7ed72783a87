import type { Alias, Entity, Group, Subject } from '../identity/records.ts'

type Texts = Readonly<Record<string, string>> | null

/** Whether a path has `{{…}}` in it; undefined when its braces do not pair. */
export function isTemplate(path: string): boolean | undefined {
  const [first = '', ...rest] = path.split('{{')
  if (first.includes('}}')) return undefined
  if (rest.some((part) => part.split('}}').length !== 2)) return undefined
  return rest.length > 0
}

/**
 * The path with what is true of the token's identity in place of each `{{…}}`; undefined when something is not known, or would
 * widen the rule: a name is no wildcard.
 */
export function fillTemplate(path: string, subject: Subject | undefined): string | undefined {
  const [first = '', ...rest] = path.split('{{')
  let filled = first
  for (const part of rest) {
    const [selector = '', text = ''] = part.split('}}')
    const value = subject && valueFor(selector.trim(), subject)
    if (!value || value.includes('*')) return undefined
    filled += value + text
  }
  return plusSegments(filled) > plusSegments(path) ? undefined : filled
}

const plusSegments = (path: string): number => path.split('/').filter((segment) => segment === '+').length

function valueFor(selector: string, { entity, groups }: Subject): string | undefined {
  const ofEntity = after(selector, 'identity.entity.')
  if (ofEntity !== undefined) return entityValue(ofEntity, entity)
  const ofGroups = after(selector, 'identity.groups.')
  return ofGroups === undefined ? undefined : groupValue(ofGroups, groups)
}

function entityValue(selector: string, entity: Entity): string | undefined {
  if (selector === 'id') return entity.id
  if (selector === 'name') return entity.name
  const ofAlias = after(selector, 'aliases.')
  if (ofAlias === undefined) return textIn(entity.metadata, after(selector, 'metadata.'))
  const [accessor, field] = cut(ofAlias)
  const alias = entity.aliases.find(({ mountAccessor }) => mountAccessor === accessor)
  return alias && aliasValue(field, alias)
}

function aliasValue(selector: string, alias: Alias): string | undefined {
  if (selector === 'id') return alias.id
  if (selector === 'name') return alias.name
  return (
    textIn(alias.metadata, after(selector, 'metadata.')) ??
    textIn(alias.customMetadata, after(selector, 'custom_metadata.'))
  )
}

/** `ids.<id>.name`, `names.<name>.id`, `….metadata.<key>`; of groups that the entity is in. */
function groupValue(selector: string, groups: readonly Group[]): string | undefined {
  const [by, rest] = cut(selector)
  if (by !== 'ids' && by !== 'names') return undefined
  const [key, field] = cut(rest)
  const group = groups.find(({ id, name }) => (by === 'ids' ? id : name) === key)
  if (!group) return undefined
  if (field === 'id') return group.id
  if (field === 'name') return group.name
  return textIn(group.metadata, after(field, 'metadata.'))
}

const after = (text: string, start: string): string | undefined =>
  text.startsWith(start) ? text.slice(start.length) : undefined

/** Before and after the first dot. */
function cut(text: string): [string, string] {
  const dot = text.indexOf('.')
  return dot < 0 ? [text, ''] : [text.slice(0, dot), text.slice(dot + 1)]
}

const textIn = (texts: Texts, key: string | undefined): string | undefined =>
  texts && key !== undefined && Object.hasOwn(texts, key) ? texts[key] : undefined
