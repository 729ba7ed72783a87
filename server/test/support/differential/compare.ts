import type { Heard } from './twins.ts'

/** Fields that clients act upon. */
const comparedHeaders = ['content-type', 'cache-control', 'allow', 'retry-after'] as const

/** Names of values that are another on each server, whatever they look like. */
const volatile = new Set([
  'accessor',
  'id',
  'request_id',
  'client_id',
  'client_token',
  'nonce',
  'creation_time',
  'lease_id',
  'token',
  'uuid',
  'backup',
  'ciphertext',
  'cluster_id',
  'cluster_name',
  'version',
  'hmac',
  'random_bytes',
  'running_plugin_version',
  'wrapped_accessor',
])
const patterns: readonly [RegExp, string][] = [
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/, '<time>'],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>'],
  [/vault:v(\d+):[A-Za-z0-9+/=_-]+/g, '<vault:v$1>'],
  [/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END [A-Z0-9 ]+-----\n?/g, '<$1>'],
  [/\b([a-z][a-z0-9_]*)_[0-9a-f]{8}\b/g, '<accessor of $1>'],
  [/\b[0-9a-f]{40,}\b/g, '<hex>'],
  [/^[A-Za-z0-9+/]{22,}={0,2}$/, '<base64>'],
  [/(?:[0-9a-f]{2}:){9,}[0-9a-f]{2}/g, '<serial>'],
]

/** What differs, one line each: status, headers, shape and values. */
export function differencesBetween(theirs: Heard, ours: Heard, briefly: boolean): string[] {
  const found: string[] = []
  const note = (what: string, left: unknown, right: unknown): void => {
    if (left !== right) found.push(`${what}: theirs ${String(left)}, ours ${String(right)}`)
  }
  for (const name of comparedHeaders) note(name, theirs.headers[name], ours.headers[name])
  const [theirRefusal, ourRefusal] = [refusalOf(theirs), refusalOf(ours)]
  if (theirRefusal && ourRefusal && !briefly)
    return [...found, ...refusalDifference(theirRefusal, ourRefusal)]
  note('status', theirs.status, ours.status)
  if (briefly) return found
  if (theirRefusal || ourRefusal)
    return [
      ...found,
      `refusal: theirs ${theirRefusal?.words.join('; ')}, ours ${ourRefusal?.words.join('; ')}`,
    ]
  const left = flattened(bodyOf(theirs.text))
  const right = flattened(bodyOf(ours.text))
  for (const place of new Set([...left.keys(), ...right.keys()]))
    note(place === '' ? 'body' : place, left.get(place), right.get(place))
  return found
}

/** Where Go's libraries go on in their words, and Keyward in its own: what stands before is the same. */
const prefixes: readonly RegExp[] = [
  /^(?:Field validation failed: |error parsing role fields: )?(?:error converting input for field "[^"]+"|time: |\w+ must be positive$)/,
  /^failed to (?:parse|decode) JSON input: /,
  /^error parsing X-Vault-Wrap-TTL header: /,
  /^(?:error parsing role fields: )?error parsing address "[^"]+": /,
  /^failed to parse metadata: /,
  /^Invalid path for a versioned K\/V secrets engine\. /,
]
const unsupported = new Set(['404 unsupported path', '405 unsupported operation'])

type Refusal = { readonly status: number; readonly words: readonly string[] }

function refusalOf({ status, text }: Heard): Refusal | undefined {
  const body = bodyOf(text)
  const errors: unknown = typeof body === 'object' && body !== null ? Object(body).errors : undefined
  return Array.isArray(errors)
    ? { status, words: errors.map((words) => bare(normal(String(words)))) }
    : undefined
}

function refusalDifference(theirs: Refusal, ours: Refusal): string[] {
  const [left, right] = [theirs, ours].map(({ status, words }) => `${status} ${words.join('; ')}`)
  // A list of what cannot be listed matches another pattern of the same engine than other requests do.
  if (unsupported.has(left ?? '') && unsupported.has(right ?? '')) return []
  const isSame =
    isSameStatus(theirs.status, ours.status) &&
    theirs.words.length <= ours.words.length &&
    theirs.words.every((words, at) => saysAsMuch(words, ours.words[at] ?? ''))
  return isSame ? [] : [`refusal: theirs ${left}, ours ${right}`]
}

/** A mistake of the caller's, which Go code has passed on as any other error, is no failure of the server. */
const isSameStatus = (theirs: number, ours: number): boolean =>
  theirs === ours || (theirs === 500 && ours >= 400 && ours < 500)

/** Ours may say more after the same words. */
function saysAsMuch(theirs: string, ours: string): boolean {
  const prefix = prefixes.find((pattern) => pattern.test(theirs))
  return prefix ? prefix.test(ours) : ours.startsWith(theirs)
}

/** Without the list of one error that Go puts around some. */
const bare = (words: string): string => words.replace(/^1 error occurred:\n\t\* (.*)\n\n$/s, '$1')

function bodyOf(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return text
  }
}

/** Each leaf of a value with its place; what is different each time is named by its type. */
function flattened(value: unknown): Map<string, string> {
  const leaves = new Map<string, string>()
  const visit = (at: string, name: string, item: unknown): void => {
    const inner = partsOf(item)
    if (inner.length === 0) leaves.set(at, leaf(name, item))
    for (const [key, each] of inner) {
      const place = Array.isArray(item) ? `[${key}]` : `${at === '' ? '' : '.'}${normal(key)}`
      visit(`${at}${place}`, Array.isArray(item) ? name : key, each)
    }
  }
  visit('', '', value)
  return leaves
}

const partsOf = (value: unknown): [string, unknown][] =>
  typeof value === 'object' && value !== null ? Object.entries(value) : []

function leaf(name: string, value: unknown): string {
  if (typeof value === 'string') {
    const known = prefixes.find((pattern) => pattern.test(value))?.exec(value)
    if (known) return known[0]
    if (value !== '' && volatile.has(name)) return '<text>'
    return JSON.stringify(normal(value))
  }
  // Seconds that pass between the two servers, and times of the clock.
  if (typeof value === 'number' && (value > 1_600_000_000 || isTime(name))) return '<number>'
  return JSON.stringify(value) ?? 'nothing'
}

const isTime = (name: string): boolean => name === 'ttl'

function normal(text: string): string {
  let shown = text
  for (const [pattern, name] of patterns) shown = shown.replaceAll(withAll(pattern), name)
  return shown
}

const withAll = (pattern: RegExp): RegExp =>
  pattern.global ? pattern : new RegExp(pattern.source, `${pattern.flags}g`)
