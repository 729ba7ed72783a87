import { classesIn, entropyOf, mixOf } from './checks.ts'
import type { Confidence, Syntax } from './finding.ts'
import { isLoose, type KeyKind, kindOfKey } from './key-name.ts'
import { isHarmless } from './plausible.ts'

/** Words that the name of a key holds when its value may be a secret. */
export const assignmentKeywords = [
  'passw',
  'passphrase',
  'passcode',
  'pwd',
  'pass',
  'secret',
  'token',
  'credential',
  'key',
  '_auth',
  '_pw',
  'senha',
  'motdepasse',
]

export type Assignment = {
  readonly key: string
  readonly kind: Exclude<KeyKind, 'none'>
  /** Offsets in the text that was given. */
  readonly start: number
  readonly end: number
  readonly quote: string
  readonly confidence: Confidence
}

/** The text around a keyword: `at` is where the keyword begins. */
type Around = { readonly text: string; readonly at: number; readonly syntax: Syntax }

const separators = {
  // `key = `, `"key": `, `key := `, `'key' => `, `key: string = `, `['key'] = `
  assign:
    /\\?["'`]?\]?[ \t]{0,20}(?::[ \t]{0,4}(?:&?(?:'static )?[A-Za-z_][\w.<>|?]{0,30})[ \t]{1,4}=(?![=>])|:=|=>|[?+]?=(?!=)|:(?![:=]))[ \t]{0,40}/y,
  // <add key="Password" value="…"/>, {"name": "PASSWORD", "value": "…"}, - name: PASSWORD⏎  value: …
  named: /\\?["']?,?\s{1,40}\\?["']?value\\?["']?[ \t]{0,4}[:=][ \t]{0,10}/iy,
  // <password>…</password>
  element: />/y,
  // .setPassword("…"), define('DB_PASSWORD', '…'), getenv("TOKEN", "…")
  call: /\\?["']?[ \t]{0,4}[,(][ \t]{0,4}/y,
  // --password …, ENV TOKEN …
  space: /[ \t]{1,4}/y,
} as const

const isWord = (char: string): boolean => /[\w.-]/.test(char)

/** Reads the assignment whose key holds the keyword at `at`, if there is one and its value may be a secret. */
export function readAssignment({ text, at, syntax }: Around): Assignment | undefined {
  let from = at
  while (from > 0 && at - from < 80 && isWord(text.charAt(from - 1))) from--
  let to = at
  while (to < text.length && to - at < 80 && isWord(text.charAt(to))) to++
  const key = text.slice(from, to).replace(/^[-.]+|[-.]+$/g, '')
  const kind = kindOfKey(key)
  if (kind === 'none') return
  const found = readValue({ text, from, to, syntax })
  if (!found) return
  const value = text.slice(found.start, found.end)
  const confidence = judgeAssigned(key, kind, value, found.quote === '' ? syntax : 'code')
  return confidence && { key, kind, ...found, confidence }
}

type Found = { start: number; end: number; quote: string }
type KeyAt = { text: string; from: number; to: number; syntax: Syntax }

function match(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : undefined
}

/** The ways in which a key gets its value, tried in turn. */
function readValue(key: KeyAt): Found | undefined {
  return readElement(key) ?? readNamed(key) ?? readAssigned(key) ?? readCalled(key) ?? readSpaced(key)
}

function readElement({ text, from, to, syntax }: KeyAt): Found | undefined {
  if (text.charAt(from - 1) !== '<' && syntax !== 'xml') return
  const at = match(separators.element, text, to)
  return at === undefined ? undefined : readUntil(text, at, /[<\r\n]/)
}

function readNamed({ text, from, to, syntax }: KeyAt): Found | undefined {
  const before = text.slice(Math.max(0, from - 24), from)
  if (!/(?:name|key)\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?$/i.test(before)) return
  const at = match(separators.named, text, to)
  return at === undefined ? undefined : (readQuoted(text, at) ?? readBare(text, at, syntax))
}

function readAssigned({ text, from, to, syntax }: KeyAt): Found | undefined {
  const at = match(separators.assign, text, to)
  if (at === undefined) return
  return readQuoted(text, at) ?? (takesBare(syntax, text, from) ? readBare(text, at, syntax) : undefined)
}

function readCalled({ text, from, to }: KeyAt): Found | undefined {
  // As an argument, the key is the first one: `define('DB_PASSWORD', …`, not one of a list of names.
  const first = /\(\s{0,4}\\?["'`]$/.test(text.slice(Math.max(0, from - 8), from))
  if (!first && text.charAt(to) !== '(') return
  const at = match(separators.call, text, to)
  return at === undefined ? undefined : readQuoted(text, at)
}

/** `--password …`, `ENV PASSWORD …` */
function readSpaced({ text, from, to }: KeyAt): Found | undefined {
  const start = text.lastIndexOf('\n', from) + 1
  const before = text.slice(Math.max(start, from - 24), from)
  const option = text.startsWith('--', from) && (before === '' || /[\s"'[]$/.test(before))
  // machine db.internal login shop password …
  const netrc = /\b(?:login|account)\s{1,4}\S{1,64}\s{1,8}$/.test(text.slice(Math.max(0, from - 90), from))
  // create role shop with login password '…'
  const sql =
    /\b(?:with|encrypted|login|superuser)[ \t]{1,3}$/i.test(before) &&
    /^[ \t]{1,3}'/.test(text.slice(to, to + 4))
  if (!option && !netrc && !sql && !/^[ \t]{0,8}(?:ENV|ARG|setx?)[ \t]{1,4}$/.test(before)) return
  const at = match(separators.space, text, to)
  return at === undefined ? undefined : (readQuoted(text, at) ?? readBare(text, at, 'shell'))
}

/** In code a bare word is a name, not a value; a shell line inside other text is recognised by its upper-case name. */
function takesBare(syntax: Syntax, text: string, from: number): boolean {
  if (syntax === 'code' || syntax === 'json') return false
  return (
    syntax !== 'other' ||
    /^[A-Z_][A-Z0-9_]{2,}=|^[\w.-]{3,60}:[ \t]|^[\w-]{3,60}=/.test(text.slice(from, from + 80))
  )
}

function readQuoted(text: string, at: number): Found | undefined {
  const open = /(?:[bruf@$]{0,2}|!!str )(?<quote>"""|'''|\\["'`]|["'`])/iy
  open.lastIndex = at
  const quote = open.exec(text)?.groups?.['quote']
  if (quote === undefined) return
  const start = open.lastIndex
  for (let end = start; end < Math.min(text.length, start + 1024); end++) {
    if (text.startsWith(quote, end)) return end > start ? { start, end, quote } : undefined
    const char = text.charAt(end)
    if (char === '\n' || char === '\r') return
    if (char === '\\' && !quote.startsWith('\\')) end++
  }
  return
}

function readUntil(text: string, start: number, stop: RegExp): Found | undefined {
  let end = start
  while (end < text.length && end - start < 1024 && !stop.test(text.charAt(end))) end++
  while (end > start && /\s/.test(text.charAt(end - 1))) end--
  return end > start ? { start, end, quote: '' } : undefined
}

const bareStops: Record<Syntax, RegExp> = {
  env: /[\s"'`]/,
  ini: /[\s"'`]/,
  yaml: /[\s"'`,}\]]/,
  toml: /[\s"'`,}\]#]/,
  shell: /[\s"'`;&|)<>]/,
  json: /[\s"'`,}\]]/,
  xml: /[\s"'`<>]/,
  code: /[\s"'`,;)}\]]/,
  other: /[\s"'`,;)}\]<>]/,
}

/** A value without quotes ends at white space, and more words after it make it a sentence. */
function readBare(text: string, at: number, syntax: Syntax): Found | undefined {
  const found = readUntil(text, at, bareStops[syntax])
  if (!found || syntax === 'shell' || syntax === 'other') return found
  const rest = /[^\r\n]{0,80}/y
  rest.lastIndex = found.end
  const after = rest.exec(text)?.[0].trim() ?? ''
  return after === '' || /^(?:#|;|\/\/|[,}\]])/.test(after) ? found : undefined
}

/** How sure one can be that a value assigned to such a key is a secret; `undefined` when it is not one. */
function judgeAssigned(
  key: string,
  kind: 'password' | 'token',
  value: string,
  syntax: Syntax,
): Confidence | undefined {
  if (value.length > 600 || isHarmless(value) || /\s/.test(value) || namesItself(key, value)) return
  return kind === 'password' ? judgePassword(value, syntax) : judgeToken(key, value)
}

function judgePassword(value: string, syntax: Syntax): Confidence | undefined {
  // More than an accent or two is a sentence in another script.
  if (value.replace(/[\x21-\x7e]/g, '').length > 4) return
  if (
    value.length < 6 ||
    value.length > 128 ||
    looksLikeName(value) ||
    /^[/.~][\w./-]+$/.test(value) ||
    /^[a-z]+:\/\//i.test(value)
  )
    return
  if (/[(){}<>[\]]/.test(value) && /[.(]\w+|\w\(/.test(value)) return
  const classes = classesIn(value)
  if (classes >= 3 && value.length >= 8) return 'medium'
  if (classes >= 2 && value.length >= 8 && entropyOf(value) >= 2.5 && mixOf(value) > 0.05) return 'low'
  // One kind of letters: a word. Only configuration holds such a password, and only a long or random one counts.
  return syntax !== 'code' && value.length >= 12 && entropyOf(value) >= 3.4 ? 'low' : undefined
}

function judgeToken(key: string, value: string): Confidence | undefined {
  if (value.length < 8 || !/^[\x21-\x7e]+$/.test(value) || /[<>{}()[\]]/.test(value) || looksLikeName(value))
    return
  if (/^(?:[a-z][a-z0-9+.-]*:\/\/|\.{0,2}\/|[A-Za-z]:\\|~\/)/.test(value) || /,|;/.test(value)) return
  const entropy = entropyOf(value)
  const digits = value.replace(/[^0-9]/g, '').length
  const least = value.length < 20 ? 2.9 : 3.1
  if (entropy < least || mixOf(value) < 0.12 || (digits === 0 && (value.length < 20 || mixOf(value) < 0.3)))
    return
  if (isLoose(key) && (value.length < 20 || entropy < 3.4 || mixOf(value) < 0.25 || digits < 2)) return
  return value.length >= 20 && entropy >= 3.3 && mixOf(value) >= 0.2 ? 'medium' : 'low'
}

/** `password: passwordField`, `token = TOKEN_NAME`: the value repeats the key. */
function namesItself(key: string, value: string): boolean {
  const bare = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '')
  return (
    bare(key) === bare(value) ||
    (/^[A-Za-z_.-]+$/.test(value) && /password|passwd|secret|token|key|credential/i.test(value))
  )
}

/** Words joined by dots, dashes, underscores, slashes or capitals: a variable, a path, a class, a setting. */
function looksLikeName(value: string): boolean {
  if (/^[A-Za-z]{2,20}(?:[._:/-][A-Za-z0-9]{1,20}){1,8}$/.test(value))
    return value.split(/[._:/-]/).every(isWordLike)
  const camel = /^[?!$]?(?:[a-z]{2,15}|[A-Z][a-z]{1,15})(?:[A-Z][a-z]{1,15}){1,6}\d{0,3}$/
  return camel.test(value) || /^[A-Z]+(?:_[A-Z0-9]{1,20}){1,8}$/.test(value)
}

/** One case throughout, or a capital first, and vowels where a word has them; or a version. */
function isWordLike(part: string): boolean {
  if (/^v?\d{1,3}$/.test(part)) return true
  const letters = part.replace(/\d{1,3}$/, '')
  return /^(?:[a-z]+|[A-Z][a-z]*|[A-Z]+)$/.test(letters) && (letters.length < 5 || /[aeiouy]/i.test(letters))
}
