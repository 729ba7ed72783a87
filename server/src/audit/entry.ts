import { hash } from 'node:crypto'
import type { AuditEntry, EventName, Json } from '@keyward/contract'
import { canonicalJson, createIds, sortedKeys } from '../core/index.ts'
import type { NewEntry, Tip } from './audit-store.ts'

/** What a domain says; the log adds place, time and hash. `detail` never holds a secret. */
export type EntryInput = {
  readonly type: EventName
  readonly outcome: AuditEntry['outcome']
  /** `actorOf(principal)`. */
  readonly actor: string
  /** `<kind>:<id>`, for example `secret:secret/shop/stripe`. */
  readonly target: string
  /** The run, request or scan that it belongs to; empty when none. */
  readonly correlation?: string
  readonly detail?: Json
}

/** An entry that has no place in the chain yet. */
export type Unplaced = Omit<NewEntry, 'seq' | 'previous' | 'hash'>

/** Gives what is recorded its id and its time. */
export function createEntries(): (input: EntryInput, now: Date) => Unplaced {
  const ids = createIds()
  let lastMilliseconds = Number.NaN
  let lastAt = ''
  return (input, now) => {
    const atMilliseconds = now.getTime()
    if (atMilliseconds !== lastMilliseconds) {
      lastMilliseconds = atMilliseconds
      lastAt = now.toISOString()
    }
    return {
      id: ids.id('aud', now),
      at: lastAt,
      atMilliseconds,
      type: input.type,
      outcome: input.outcome,
      actor: storable(input.actor),
      target: storable(input.target),
      correlation: storable(input.correlation ?? ''),
      detailText: storedJson(input.detail ?? null),
    }
  }
}

/**
 * The hash is SHA-256, hex, over the canonical JSON of everything in the entry but its own hash: what `canonicalJson` makes of it, written out
 * because each request that is answered waits for this.
 */
export function placed(entry: Unplaced, { seq: last, hash: previous }: Tip): NewEntry {
  const { id, at, type, outcome, actor, target, correlation, detailText, atMilliseconds } = entry
  const seq = last + 1
  const text = quoted
  const unsigned =
    `{"actor":${text(actor)},"at":"${at}","correlation":${text(correlation)},"detail":${detailText},"id":"${id}",` +
    `"outcome":"${outcome}","previous":"${previous}","seq":${seq},"target":${text(target)},"type":"${type}"}`
  return {
    seq,
    id,
    at,
    atMilliseconds,
    type,
    outcome,
    actor,
    target,
    correlation,
    detailText,
    previous,
    hash: hash('sha256', unsigned, 'hex'),
  }
}

/** Without a place, as a line of the journal: fields with tabs between them. JSON has neither tabs nor ends of lines in it. */
export function lineOf(entry: Unplaced): string {
  const { id, at, type, outcome, actor, target, correlation, detailText } = entry
  const text = quoted
  return `${id}\t${at}\t${type}\t${outcome}\t${text(actor)}\t${text(target)}\t${text(correlation)}\t${detailText}\n`
}

/** From a line without its end. */
export function entryOfLine(line: string): Unplaced {
  const [id = '', at = '', type, outcome, actor = '', target = '', correlation = '', detailText = ''] =
    line.split('\t')
  return {
    id,
    at,
    atMilliseconds: Date.parse(at),
    type: type as Unplaced['type'],
    outcome: outcome as Unplaced['outcome'],
    actor: textOf(actor),
    target: textOf(target),
    correlation: textOf(correlation),
    detailText,
  }
}

const textOf = (json: string): string =>
  json.includes('\\') ? (JSON.parse(json) as string) : json.slice(1, -1)

/** Printable ASCII without what JSON writes in another way. */
const plain = /^[ !#-[\]-~]*$/

/** As `JSON.stringify`, which takes several times as long for a text with nothing to escape. */
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

/** Half a character and NUL do not come back from a database as they went in, and the entry would not verify any more. */
const storable = (text: string): string =>
  text.isWellFormed() && !text.includes('\0') ? text : text.toWellFormed().replaceAll('\0', '\ufffd')

/** Canonical, and as it will be read again: what JSON leaves out must not be hashed. */
const storedJson = (value: Json): string =>
  inOnePass(value) ?? canonicalJson(JSON.parse(JSON.stringify(value)) as Json)

/** What `canonicalJson` makes of a value that has only what JSON keeps as it is, as nearly all have; undefined for any other. */
function inOnePass(value: unknown): string | undefined {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return quoted(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : undefined
    case 'object':
      if (Array.isArray(value)) return listInOnePass(value)
      return Object.getPrototypeOf(value) === Object.prototype
        ? membersInOnePass(value as Record<string, unknown>)
        : undefined
    default:
      return undefined
  }
}

function listInOnePass(values: readonly unknown[]): string | undefined {
  let text = ''
  for (const value of values) {
    const item = inOnePass(value)
    if (item === undefined) return undefined
    text += text === '' ? item : `,${item}`
  }
  return `[${text}]`
}

function membersInOnePass(value: Readonly<Record<string, unknown>>): string | undefined {
  let text = ''
  for (const key of sortedKeys(value)) {
    const member = inOnePass(value[key])
    if (member === undefined) return undefined
    text += text === '' ? `${quoted(key)}:${member}` : `,${quoted(key)}:${member}`
  }
  return `{${text}}`
}
