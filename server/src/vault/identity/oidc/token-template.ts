import { AppError } from '../../../core/index.ts'
import { parseDuration } from '../../duration.ts'
import type { Alias, Subject } from '../records.ts'

/** Claims that the vault itself makes. */
const reserved = ['iat', 'aud', 'exp', 'iss', 'sub', 'namespace', 'nonce', 'auth_time', 'at_hash', 'c_hash']

const nobody: Subject = {
  entity: {
    id: '',
    name: '',
    metadata: {},
    policies: [],
    disabled: false,
    aliases: [],
    merged: [],
    createdAt: 0,
    updatedAt: 0,
  },
  groups: [],
  policies: [],
}

/** Refuses a template that would never be a JSON object, or would say what only the vault may say. */
export function assertTemplate(template: string): void {
  if (template === '') return
  const claims = filledClaims(template, nobody, new Date(0))
  const wrong = Object.keys(claims).find((name) => reserved.includes(name))
  if (wrong !== undefined)
    throw new AppError(
      'request.invalid',
      `top level key "${wrong}" not allowed. Restricted keys: ${reserved.join(', ')}`,
    )
}

/** The claims of a template: JSON in which `{{…}}` stands for a value, quotes included. */
export function filledClaims(template: string, subject: Subject, now: Date): Record<string, unknown> {
  if (template === '') return {}
  const [first = '', ...rest] = template.split('{{')
  let text = first
  for (const part of rest) {
    const pieces = part.split('}}')
    if (pieces.length !== 2) throw invalid('unbalanced templating characters')
    text += JSON.stringify(valueFor((pieces[0] ?? '').trim(), subject, now)) + pieces[1]
  }
  if (first.includes('}}')) throw invalid('unbalanced templating characters')
  const parsed = parsedJson(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new AppError('request.invalid', 'error parsing template JSON: it is no object')
  return parsed as Record<string, unknown>
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new AppError('request.invalid', 'error parsing template JSON: it is no JSON once it is filled')
  }
}

function valueFor(selector: string, { entity, groups }: Subject, now: Date): unknown {
  const alias = /^identity\.entity\.aliases\.([^.]+)\.(.+)$/.exec(selector)
  if (alias)
    return aliasValue(
      entity.aliases.find((each) => each.mountAccessor === alias[1]),
      alias[2] ?? '',
    )
  const key = /^identity\.entity\.metadata\.(.+)$/.exec(selector)?.[1]
  if (key !== undefined) return textOf(entity.metadata, key)
  switch (selector) {
    case 'identity.entity.id':
      return entity.id
    case 'identity.entity.name':
      return entity.name
    case 'identity.entity.metadata':
      return entity.metadata ?? {}
    case 'identity.entity.groups.ids':
      return groups.map((group) => group.id)
    case 'identity.entity.groups.names':
      return groups.map((group) => group.name)
    default:
      return timeFor(selector, now)
  }
}

/** Of an alias that somebody may not have: then it is empty. */
function aliasValue(alias: Alias | undefined, field: string): unknown {
  const [name, key] = field.split(/\.(.*)/s)
  switch (name) {
    case 'id':
      return alias?.id ?? ''
    case 'name':
      return alias?.name ?? ''
    case 'metadata':
      return key ? textOf(alias?.metadata, key) : (alias?.metadata ?? {})
    case 'custom_metadata':
      return key ? textOf(alias?.customMetadata, key) : (alias?.customMetadata ?? {})
    default:
      throw invalid(`"${field}" is nothing of an alias`)
  }
}

const textOf = (texts: Alias['metadata'] | undefined, key: string): string =>
  texts && Object.hasOwn(texts, key) ? (texts[key] ?? '') : ''

/** `time.now`, and so long before or after it; in seconds. */
function timeFor(selector: string, now: Date): number {
  const found = /^time\.now(?:\.(plus|minus)\.(\w+))?$/.exec(selector)
  if (!found) throw invalid(`"${selector}" stands for nothing`)
  const seconds = found[2] === undefined ? 0 : (parseDuration(found[2], 'time') ?? 0)
  return Math.floor(now.getTime() / 1000) + (found[1] === 'minus' ? -seconds : seconds)
}

const invalid = (what: string): AppError => new AppError('request.invalid', `error parsing template: ${what}`)
