import type { Syntax } from '../finding.ts'

/** Where a value stands in the text, and how it was written. */
export type Found = {
  readonly start: number
  readonly end: number
  /** Empty for a bare value. */
  readonly quote: string
  readonly way: Way
}

/** How a key gets its value. */
export type Way =
  | 'assigned'
  | 'element'
  | 'named'
  | 'nested'
  | 'argument'
  | 'fallback'
  | 'option'
  | 'text'
  | 'block'

/** A key at [from, to) of the text. */
export type KeyAt = {
  readonly text: string
  readonly from: number
  readonly to: number
  readonly syntax: Syntax
}

const separators = {
  // `key = `, `"key": `, `key := `, `'key' => `, `key: string = `, `['key'] = `, `key[] = `, `key: [`
  assign:
    /\\?["'`]?(?:\]|\[\d{0,4}\])?[ \t]{0,20}(?::[ \t]{0,4}(?:&?(?:'static )?[A-Za-z_][\w.<>|?]{0,30})[ \t]{1,4}=(?![=>])|:=|=>|(?:[?+]|\|\|)?=(?![=~])|:(?![:=]))[ \t]{0,40}(?:\[(?!\])\s{0,20})?/y,
  // <add key="Password" value="…"/>, {"name": "PASSWORD", "value": "…"}, - name: PASSWORD⏎  value: …
  named:
    /\\?["']?(?:,\s{0,40}|\s{1,40})(?:["']?type["']?[ \t]{0,3}[:=][ \t]{0,3}["']?\w{1,20}["']?(?:,\s{0,40}|\s{1,40}))?\\?["']?value\\?["']?[ \t]{0,4}[:=][ \t]{0,10}/iy,
  // "password": { "value": "…" }, variable "password" {⏎ default = "…" }
  nested:
    /["']?[ \t]{0,4}[:=]?[ \t]{0,4}\{[^{}]{0,300}?\b["']?(?:value|default)["']?[ \t]{0,12}[:=][ \t]{0,8}/y,
  // <password>…</password>, <password encoding="…">…</password>
  element: /(?:[ \t][^<>\r\n]{0,120}(?<!\/))?>/y,
  // <key>Password</key><string>…</string>
  siblings: /<\/(?:key|name|param-name)>\s{0,60}<(?:string|value|param-value)>/y,
  // <property name="password">…</property>
  attribute: /["']\s{0,4}>/y,
  // .setPassword("…"), define('DB_PASSWORD', '…'), getenv("TOKEN", "…"), option('--token', default='…'), key{"…"}
  call: /\\?["']?[ \t]{0,4}[,({][ \t]{0,24}(?:(?:default|with)[ \t]{0,2}[=:][ \t]{0,2}|<<)?/y,
  // get('#password').type('…'), let(:password) { '…' }
  typed: /["'\]]{0,3}\)(?:\.(?:type|fill|sendKeys|send_keys|setValue|set)\(|[ \t]{0,3}\{)[ \t]{0,3}/y,
  // env.TOKEN || '…', os.getenv('TOKEN') or '…', ENV['TOKEN'] ?: "…"
  otherwise: /["']?[\])]?[ \t]{0,4}(?:\|\||\?\?|\bor\b|\?:)[ \t]{0,4}/y,
  // ${TOKEN:-…}, ${db.password:…}
  default: /:?[-=]|:(?![+?])/y,
  // | token | `…` |, **token**: …
  table: /[`*]{0,3}[ \t]{0,20}\|[ \t]{0,20}|[`*]{1,3}[ \t]{0,3}[:=][ \t]{0,4}|:\*{2}[ \t]{0,4}/y,
  // key: |⏎  …
  block: /["']?[ \t]{0,4}:[ \t]{0,4}[|>][-+]?[ \t]{0,4}\r?\n[ \t]{1,40}/y,
  // --password …, ENV TOKEN …
  space: /[ \t]{1,4}/y,
  // the password of the shop is …, the password is: …, password `…`
  told: /(?:[ \t](?:for|of|to|on|at)[ \t][^\r\n:="'`]{1,50}?)?(?:[ \t]{1,3}(?:is|was|=)[ \t]{0,2}:?[ \t]{1,3}|[ \t](?=`))/y,
} as const

/** A function that only wraps its text: `Buffer.from('…')`, `SecureString("…")`, `new Secret('…')`. */
const wrapper =
  /(?:new[ \t])?(?:[A-Za-z_][\w.:]{0,40}[.:])?(?:from|of|String|SecureString|Secret|SecretStr|Password|bytes|\[\]byte|GetBytes|fromhex|unhexlify|b64decode|base64_decode|atob|valueOf|Some|Sensitive|ConvertTo-SecureString)[ \t]{0,2}[( ][ \t]{0,2}(?:-String[ \t]{1,2})?/iy

function match(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : undefined
}

type Way0 = (key: KeyAt) => Found | undefined

/** The ways in which a key gets its value, tried in turn. */
const ways: readonly Way0[] = [
  readElement,
  readNamed,
  readNested,
  readBlock,
  readDefault,
  readAssigned,
  readOtherwise,
  readCalled,
  readTyped,
  readInString,
  readTable,
  readSpaced,
  readTold,
]

export function readValue(key: KeyAt): Found | undefined {
  for (const read of ways) {
    const found = read(key)
    if (found) return found
  }
  return
}

function readElement({ text, from, to, syntax }: KeyAt): Found | undefined {
  const char = text.charAt(from - 1)
  if (char === '<' || (syntax === 'xml' && char !== '>' && char !== '"' && char !== "'")) {
    const at = match(separators.element, text, to)
    return at === undefined ? undefined : readUntil(text, at, /[<\r\n]/, 'element')
  }
  if (char === '>') {
    const at = match(separators.siblings, text, to)
    return at === undefined ? undefined : readUntil(text, at, /[<\r\n]/, 'element')
  }
  if (!/(?:name|key|id)=["']$/i.test(text.slice(Math.max(0, from - 8), from))) return
  const at = match(separators.attribute, text, to)
  return at === undefined ? undefined : readUntil(text, at, /[<\r\n]/, 'element')
}

function readNamed({ text, from, to, syntax }: KeyAt): Found | undefined {
  const before = text.slice(Math.max(0, from - 24), from)
  if (!/(?:name|key)\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?$/i.test(before)) return
  const at = match(separators.named, text, to)
  return at === undefined ? undefined : (readQuoted(text, at, 'named') ?? readBare(text, at, syntax, 'named'))
}

function readNested({ text, to, syntax }: KeyAt): Found | undefined {
  if (syntax !== 'json' && syntax !== 'toml') return
  const at = match(separators.nested, text, to)
  return at === undefined ? undefined : readQuoted(text, at, 'nested')
}

function readBlock({ text, to, syntax }: KeyAt): Found | undefined {
  if (syntax !== 'yaml') return
  const at = match(separators.block, text, to)
  return at === undefined ? undefined : readUntil(text, at, /[\s]/, 'block')
}

function readDefault({ text, from, to }: KeyAt): Found | undefined {
  if (!/\$\{$/.test(text.slice(Math.max(0, from - 2), from))) return
  const at = match(separators.default, text, to)
  return at === undefined ? undefined : readUntil(text, at, /[\s}"'`]/, 'fallback')
}

function readAssigned({ text, from, to, syntax }: KeyAt): Found | undefined {
  const at = match(separators.assign, text, to)
  if (at === undefined) return
  const quoted = readQuoted(text, at, 'assigned') ?? readWrapped(text, at)
  return quoted ?? (takesBare(syntax, text, from) ? readBare(text, at, syntax, 'assigned') : undefined)
}

function readWrapped(text: string, at: number): Found | undefined {
  const inner = match(wrapper, text, at)
  return inner === undefined ? undefined : readQuoted(text, inner, 'argument')
}

function readOtherwise({ text, to }: KeyAt): Found | undefined {
  const at = match(separators.otherwise, text, to)
  return at === undefined ? undefined : readQuoted(text, at, 'fallback')
}

function readCalled({ text, from, to, syntax }: KeyAt): Found | undefined {
  const before = text.slice(Math.max(0, from - 12), from)
  // As an argument, the key is the first one: `define('DB_PASSWORD', …`, not one of a list of names.
  const first = /(?:\(\s{0,4}|\bfill_in[ \t])\\?["'`]#?$/.test(before)
  const member = syntax === 'code' && /\{[ \t]{0,2}$/.test(before) && text.charAt(to) === ','
  if (!first && !member && !/[({]/.test(text.charAt(to))) return
  const at = match(separators.call, text, to)
  return at === undefined ? undefined : readQuoted(text, at, 'argument')
}

function readTyped({ text, to }: KeyAt): Found | undefined {
  const at = match(separators.typed, text, to)
  return at === undefined ? undefined : readQuoted(text, at, 'argument')
}

/** `"X-Api-Key: …"`, `"…?token=…&page=2"`, `'tool --token=…'`: a key and its value inside one quoted text. */
function readInString({ text, from, to }: KeyAt): Found | undefined {
  const separator = /^(?:=|:[ \t]{1,2})(?=[^\s"'`=])/.exec(text.slice(to, to + 4))?.[0]
  if (separator === undefined) return
  const start = Math.max(text.lastIndexOf('\n', from) + 1, from - 400)
  const quote = openQuote(text.slice(start, from))
  if (quote === '') return
  const found = readUntil(text, to + separator.length, /[\s"'`&;,\\]/, 'text')
  // Other words after it make it a sentence, unless it is an option or part of an address.
  return found && /["'`&;\\]|[ \t]-/.test(text.slice(found.end, found.end + 2)) ? found : undefined
}

/** The quote that is still open at the end of a line's beginning. */
function openQuote(before: string): string {
  let open = ''
  for (let at = 0; at < before.length; at++) {
    const char = before.charAt(at)
    if (char === '\\') at++
    else if (open === '' ? /["'`]/.test(char) : char === open) open = open === '' ? char : ''
  }
  return open
}

/** A row of a table in text, or a name in bold or in backquotes. */
function readTable({ text, to, syntax }: KeyAt): Found | undefined {
  if (syntax !== 'other') return
  const at = match(separators.table, text, to)
  if (at === undefined) return
  return readQuoted(text, at, 'text') ?? readBare(text, at, 'yaml', 'text')
}

/** `--password …`, `ENV PASSWORD …`, `machine … login … password …` */
function readSpaced(key: KeyAt): Found | undefined {
  const { text, to } = key
  const at = match(separators.space, text, to)
  if (at === undefined) return
  if (takesNext(key)) return readQuoted(text, at, 'option') ?? readBare(text, at, 'shell', 'option')
  return takesQuoted(key) ? readQuoted(text, at, 'option') : undefined
}

const lineBefore = ({ text, from }: KeyAt, most: number): string =>
  text.slice(Math.max(text.lastIndexOf('\n', from - 1) + 1, from - most), from)

function takesNext(key: KeyAt): boolean {
  const { text, from } = key
  const before = lineBefore(key, 24)
  const option = text.startsWith('--', from) && (before === '' || /[\s"'[]$/.test(before))
  // machine db.internal login shop password …
  const netrc = /\b(?:login|account)\s{1,4}\S{1,64}\s{1,8}$/.test(text.slice(Math.max(0, from - 90), from))
  return option || netrc || /^[ \t]{0,8}(?:ENV|ARG|setx?|proxy_set_header)[ \t]{1,4}$/.test(before)
}

/** What a quoted text may follow with nothing between. */
function takesQuoted(key: KeyAt): boolean {
  const { text, from, to, syntax } = key
  const before = lineBefore(key, 24)
  // create role shop with login password '…'
  if (/\b(?:with|encrypted|login|superuser)[ \t]{1,3}$/i.test(before) && text.charAt(to + 1) === "'")
    return true
  // #define PASSWORD "…", (def password "…"), {:password "…"}, -Password "…"
  if (/#[ \t]{0,3}define[ \t]{1,3}$|\(def[ \t]{1,3}$|[{\s]:$/.test(before)) return true
  if (/^-[A-Z]/.test(text.slice(from, from + 2))) return /(?:^|[ \t])$/.test(before)
  // Alone on its line, as in Gradle and Chef: `storePassword "…"`.
  return (
    /^\s*$/.test(before) &&
    syntax === 'code' &&
    /^[ \t]{1,4}(["'])[^"'\r\n]{1,100}\1[ \t]{0,4}(?:[\r\n]|$)/.test(text.slice(to, to + 112))
  )
}

/** What somebody wrote to somebody: a word that no sentence holds. */
function readTold(key: KeyAt): Found | undefined {
  const { text, from, to, syntax } = key
  // `Pass` is also what one does.
  if (syntax !== 'other' || /^pass$/i.test(text.slice(from, to))) return
  const at = match(separators.told, text, to)
  if (at === undefined) return
  const found = readQuoted(text, at, 'text') ?? readUntil(text, at, /[\s"'`,;<>]/, 'text')
  if (!found) return
  const value = text.slice(found.start, found.end).replace(/[.!?)]$/, '')
  const isWord = !/[A-Za-z]/.test(value) || /^[A-Za-z'’.,-]+$/.test(value)
  return isWord ? undefined : { ...found, end: found.start + value.length }
}

/** In code a bare word is a name, not a value; a shell line inside other text is recognised by its upper-case name. */
function takesBare(syntax: Syntax, text: string, from: number): boolean {
  if (syntax === 'code' || syntax === 'json') return false
  return (
    syntax !== 'other' ||
    /^[A-Z_][A-Z0-9_]{2,}=|^[\w.-]{3,60}:[ \t]|^[\w-]{3,60}=/.test(text.slice(from, from + 80))
  )
}

function readQuoted(text: string, at: number, way: Way): Found | undefined {
  const open = /(?:[bruf@$]{0,2}|!!str )(?<quote>"""|'''|\\["'`]|["'`])/iy
  open.lastIndex = at
  const quote = open.exec(text)?.groups?.['quote']
  if (quote === undefined) return
  const start = open.lastIndex
  for (let end = start; end < Math.min(text.length, start + 1024); end++) {
    if (text.startsWith(quote, end)) return end > start ? { start, end, quote, way } : undefined
    const char = text.charAt(end)
    if (char === '\n' || char === '\r') return
    if (char === '\\' && !quote.startsWith('\\')) end++
  }
  return
}

function readUntil(text: string, start: number, stop: RegExp, way: Way): Found | undefined {
  let end = start
  while (end < text.length && end - start < 1024 && !stop.test(text.charAt(end))) end++
  while (end > start && /\s/.test(text.charAt(end - 1))) end--
  return end > start ? { start, end, quote: '', way } : undefined
}

const bareStops: Record<Syntax, RegExp> = {
  env: /[ \t\r\n\f\v"'`]/,
  ini: /[ \t\r\n\f\v"'`]/,
  yaml: /[ \t\r\n\f\v"'`,}\]]/,
  toml: /[\s"'`,}\]#]/,
  shell: /[\s"'`;&|)<>]/,
  json: /[\s"'`,}\]]/,
  xml: /[\s"'`<>]/,
  code: /[\s"'`,;)}\]]/,
  other: /[\s"'`,;)}\]<>]/,
}

/** A value without quotes ends at white space, and more words after it make it a sentence. */
function readBare(text: string, at: number, syntax: Syntax, way: Way): Found | undefined {
  const found = readUntil(text, at, bareStops[syntax], way)
  if (!found || syntax === 'shell') return found
  const rest = /[^\r\n]{0,80}/y
  rest.lastIndex = found.end
  const after = rest.exec(text)?.[0].trim() ?? ''
  if (syntax === 'other') {
    // More words make it a sentence, but `connected with password=… to` is a line of a log.
    const isLogged = text.charAt(at - 1) === '=' && /\d/.test(text.slice(found.start, found.end))
    return /^["'`]/.test(after) || (!isLogged && /^[A-Za-z]{2,20}[ ,.]/.test(after)) ? undefined : found
  }
  return after === '' || /^(?:#|;|\/\/|[,}\]|])/.test(after) ? found : undefined
}
