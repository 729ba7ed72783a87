import { hash } from 'node:crypto'
import type { AuditEntry, EventName, Json } from '@keyward/contract'
import { canonicalJson, newId } from '../core/index.ts'
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

export const entryAt = (input: EntryInput, now: Date): Unplaced => ({
  id: newId('aud', now),
  at: now.toISOString(),
  atMilliseconds: now.getTime(),
  type: input.type,
  outcome: input.outcome,
  actor: storable(input.actor),
  target: storable(input.target),
  correlation: storable(input.correlation ?? ''),
  detailText: storedJson(input.detail ?? null),
})

/**
 * The hash is SHA-256, hex, over the canonical JSON of everything in the entry but its own hash: what `canonicalJson` makes of it, written out
 * because each request that is answered waits for this.
 */
export function placed(entry: Unplaced, { seq: last, hash: previous }: Tip): NewEntry {
  const { id, at, type, outcome, actor, target, correlation, detailText, atMilliseconds } = entry
  const seq = last + 1
  const text = JSON.stringify
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
  const text = JSON.stringify
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

/** Half a character and NUL do not come back from a database as they went in, and the entry would not verify any more. */
const storable = (text: string): string =>
  text.isWellFormed() && !text.includes('\0') ? text : text.toWellFormed().replaceAll('\0', '\ufffd')

/** Canonical, and as it will be read again: what JSON leaves out must not be hashed. */
const storedJson = (value: Json): string =>
  canonicalJson(isPlain(value) ? value : (JSON.parse(JSON.stringify(value)) as Json))

/** Whether it has only what JSON keeps as it is. */
function isPlain(value: unknown): boolean {
  if (value === null) return true
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object': {
      if (Array.isArray(value)) return value.every(isPlain)
      return (
        Object.getPrototypeOf(value) === Object.prototype && Object.values(value as object).every(isPlain)
      )
    }
    default:
      return false
  }
}
