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

const isWord = (char: string): boolean => /[\w.-]/.test(char)

/** Reads what the key that holds the keyword at `at` is given, if it is the name of a secret and is given anything. */
export function readAssigned({ text, at, syntax }: Around): AssignedValue | undefined {
  let from = at
  while (from > 0 && at - from < 80 && isWord(text.charAt(from - 1))) from--
  let to = at
  while (to < text.length && to - at < 80 && isWord(text.charAt(to))) to++
  const key = text.slice(from, to).replace(/^[-.]+|[-.]+$/g, '')
  const kind = kindOfKey(key)
  // `Cloud::Gateway::ApiKey` is a type.
  if (kind === 'none' || text.startsWith('::', from - 2)) return
  // `${TOKEN-default}`: the dash belongs to the shell.
  if (text.startsWith('${', from - 2))
    to = from + (/^\w+(?:[.-]\w+)*?(?=:?[-=])/.exec(key)?.[0].length ?? key.length)
  const found = readValue({ text, from, to, syntax })
  return found && { key, kind, ...found }
}
