import type { Syntax } from '../finding.ts'
import { type KeyKind, kindOfKey } from '../key-name.ts'
import { type Found, readValue } from './read-value.ts'

/** Words that the name of a key holds when its value may be a secret. */
export const assignmentKeywords = [
  'passw',
  'passphrase',
  'passcode',
  'pwd',
  'pass',
  'secret',
  'token',
  'cred',
  'key',
  'bearer',
  '_auth',
  'apiauth',
  '_pw',
  'pw=',
  'pw:',
  'pw =',
  'pw"',
  "pw'",
  'psk',
  '_pat',
  'salt',
  'pepper',
  'senha',
  'motdepasse',
  'mot_de_passe',
  'kennwort',
  'contrase',
  'wachtwoord',
  'heslo',
  'haslo',
  'parola',
  'losenord',
  'adgangskode',
  'salasana',
]

/** A key and what it is given, before anybody has asked whether that is a secret. */
export type AssignedValue = Found & {
  readonly key: string
  readonly kind: Exclude<KeyKind, 'none'>
}

/** The text around a keyword: `at` is where the keyword begins. */
export type Around = { readonly text: string; readonly at: number; readonly syntax: Syntax }

const longestKeyHalf = 80
const isKeyCode = (code: number): boolean =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  code === 95 ||
  code === 45 ||
  code === 46

/** The bounds of the name around `at`, from a text or from bytes of which each is a character. */
function boundsOf(codeAt: (at: number) => number, length: number, at: number): [from: number, to: number] {
  let from = at
  while (from > 0 && at - from < longestKeyHalf && isKeyCode(codeAt(from - 1))) from--
  let to = at
  while (to < length && to - at < longestKeyHalf && isKeyCode(codeAt(to))) to++
  return [from, to]
}

const trimmed = (key: string): string => key.replace(/^[-.]+|[-.]+$/g, '')

const longestWordBefore = 16

/** The name as it is read: of `API key: …`, which is a name of two words, both. */
function keyOf(name: string, before: () => string): string {
  const key = trimmed(name)
  if (!/^keys?$/i.test(key)) return key
  const word =
    /(?<![\w-])(?:api|secret|access|private|auth|encryption|signing|master|licen[cs]e|account|service)[ \t]$/i
  return (word.exec(before())?.[0] ?? '') + key
}

/** The key that holds the byte at `at`. */
export function keyAt(bytes: Buffer, at: number): string {
  const [from, to] = boundsOf((each) => bytes[each] ?? 0, bytes.length, at)
  const before = (): string => bytes.toString('latin1', Math.max(0, from - longestWordBefore), from)
  return keyOf(bytes.toString('latin1', from, to), before)
}

/** Reads what the key that holds the keyword at `at` is given, if it is the name of a secret and is given anything. */
export function readAssigned({ text, at, syntax }: Around): AssignedValue | undefined {
  const bounds = boundsOf((each) => text.charCodeAt(each), text.length, at)
  const from = bounds[0]
  let to = bounds[1]
  const key = keyOf(text.slice(from, to), () => text.slice(Math.max(0, from - longestWordBefore), from))
  const kind = kindOfKey(key)
  // `Cloud::Gateway::ApiKey` is a type.
  if (kind === 'none' || text.startsWith('::', from - 2)) return
  // `PASS: name-of-a-test`
  if (syntax === 'other' && key === 'PASS' && text.charAt(to) === ':') return
  // `${TOKEN-default}`: the dash belongs to the shell.
  if (text.startsWith('${', from - 2))
    to = from + (/^\w+(?:[.-]\w+)*?(?=:?[-=])/.exec(key)?.[0].length ?? key.length)
  const found = readValue({ text, from, to, syntax })
  return found && { key, kind, ...found }
}
