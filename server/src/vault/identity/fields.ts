import { AppError } from '../../core/index.ts'
import { assertCustomMetadata } from '../custom-metadata.ts'
import type { Answer, Body, Call } from '../engine.ts'
import { isObject, listField, textField, textMapField } from '../fields.ts'

const longestName = 512
const mostMetadata = 64
const longestKey = 128
const longestValue = 512

/** Policies that an entity or a group gives; never `root`. */
export function policiesField(body: Body): string[] | undefined {
  const written = listField(body, 'policies')
  if (!written) return undefined
  const names = [...new Set(written.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))]
  if (names.includes('root')) throw new AppError('request.invalid', 'policies cannot contain root')
  if (names.includes('response-wrapping'))
    throw new AppError('request.invalid', 'policies cannot contain response-wrapping')
  return names.sort()
}

/** An object, or `key=value` texts as the command line sends them. */
function mapField(body: Body, name: string): Record<string, string> | undefined {
  const value = body[name]
  return value === undefined || value === null || isObject(value)
    ? textMapField(body, name)
    : pairs(body, name)
}

export function customMetadataField(body: Body): Record<string, string> | undefined {
  const map = mapField(body, 'custom_metadata')
  if (map) assertCustomMetadata(map)
  return map
}

/** Held to Vault's limits. */
export function metadataField(body: Body, name: string): Record<string, string> | undefined {
  const map = mapField(body, name)
  if (!map) return undefined
  const entries = Object.entries(map)
  if (entries.length > mostMetadata)
    throw new AppError('request.invalid', `${name} can have at most ${mostMetadata} keys`)
  for (const [key, text] of entries) {
    if (key === '' || Buffer.byteLength(key) > longestKey)
      throw new AppError('request.invalid', `a key of ${name} has 1 to ${longestKey} bytes`)
    if (Buffer.byteLength(text) > longestValue)
      throw new AppError('request.invalid', `a value of ${name} has at most ${longestValue} bytes: "${key}"`)
  }
  return map
}

function pairs(body: Body, name: string): Record<string, string> {
  return Object.fromEntries(
    (listField(body, name) ?? []).map((pair) => {
      const at = pair.indexOf('=')
      if (at <= 0) throw new AppError('request.invalid', `failed to parse ${name}: expected key=value`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

/** Undefined when none is given. */
export function nameField(body: Body, params: Call['params']): string | undefined {
  const name = params['name'] ?? textField(body, 'name')
  if (name === undefined || name === '') return undefined
  if (name.length > longestName || /\p{Cc}/u.test(name))
    throw new AppError('request.invalid', `a name has 1 to ${longestName} characters`)
  return name
}

/** A list with something about each item, by its id; undefined, which is 404, when it is empty. */
export function listedWith(
  items: readonly { readonly key: string; readonly id: string; readonly info: unknown }[],
): Answer | undefined {
  if (items.length === 0) return undefined
  const info = Object.fromEntries(items.map((item) => [item.id, item.info]))
  return { data: { keys: items.map(({ key }) => key), key_info: info }, note: { count: items.length } }
}
