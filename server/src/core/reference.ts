import { AppError } from './errors.ts'

/** What stands in a file or a variable instead of a value: `keyward://<mount>/<path>#<field>`. */
export type Reference = {
  readonly mount: string
  /** Below the mount; `mount` and `path` joined by `/` are the secret's path in the vault. */
  readonly path: string
  readonly field: string
}

const scheme = 'keyward://'
const longestReference = 1024
const longestPath = 512
const longestField = 128

// Only unreserved characters and escapes (RFC 3986), so that a reference ends by itself inside other text:
// postgres://app:keyward://secret/shop/db#password@db.internal/shop
const part = '(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+'
const whole = new RegExp(`^${scheme}(${part}(?:/${part})+)#(${part})$`)

/** Matches every reference inside a text. Made anew for each use, because a global expression keeps its place. */
export const referencePattern = (): RegExp => new RegExp(`${scheme}${part}(?:/${part})+#${part}`, 'g')

export function parseReference(text: string): Reference {
  if (text.length > longestReference) throw invalid('it is longer than 1,024 characters')
  const match = whole.exec(text)
  if (!match) throw invalid('it is not of the form keyward://<mount>/<path>#<field>')
  const [mount = '', ...names] = (match[1] ?? '').split('/').map(decode)
  const reference = { mount, path: names.join('/'), field: decode(match[2] ?? '') }
  checkNames([mount, ...names])
  checkLengths(reference)
  checkField(reference.field)
  return reference
}

export function formatReference(reference: Reference): string {
  const names = [reference.mount, ...reference.path.split('/')]
  checkNames(names)
  checkLengths(reference)
  checkField(reference.field)
  const text = `${scheme}${names.map(encode).join('/')}#${encode(reference.field)}`
  if (text.length > longestReference) throw invalid('it is longer than 1,024 characters')
  return text
}

function checkNames(names: readonly string[]): void {
  for (const name of names) {
    if (name === '') throw invalid('a name in its path is empty')
    if (name === '.' || name === '..') throw invalid('its path holds . or ..')
    if (name.includes('/')) throw invalid('a name in its path holds an escaped slash')
    if (hasControl(name)) throw invalid('its path holds a control character')
  }
}

function checkField(field: string): void {
  if (field === '') throw invalid('it names no field')
  if (hasControl(field)) throw invalid('its field holds a control character')
}

function checkLengths({ mount, path, field }: Reference): void {
  if (mount.length + 1 + path.length > longestPath) throw invalid('its path is longer than 512 characters')
  if (field.length > longestField) throw invalid('its field is longer than 128 characters')
}

const hasControl = (text: string): boolean => /\p{Cc}/u.test(text)

/** encodeURIComponent leaves !'()* as they are; they are escaped too, so that a reference ends by itself. */
function encode(name: string): string {
  if (!name.isWellFormed()) throw invalid('it holds half a character')
  return encodeURIComponent(name).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    throw invalid('an escape in it is not UTF-8')
  }
}

/** The text itself is not repeated: it comes from a file that may hold a secret where a reference was meant. */
function invalid(reason: string): AppError {
  return new AppError('reference.invalid', `${reason}. Write keyward://<mount>/<path>#<field>`)
}
