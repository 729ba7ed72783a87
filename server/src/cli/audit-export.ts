import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type AuditEntry, type AuditHead, api, auditEntry, auditHead } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import { type Client, everyItem } from './client.ts'

/** The export: JSON lines, an entry each from the first on, and as the last line the signed head. */
const headLine = z.strictObject({ head: auditHead })

/** The chain as the server tells it, up to the head; what is written while we read belongs to a later head. */
export async function* entriesUpTo(client: Client, head: Pick<AuditHead, 'seq'>): AsyncIterable<AuditEntry> {
  if (head.seq === 0) return
  const all = everyItem((paging) => client.call(api.audit.list, { ...paging, order: 'asc' }))
  for await (const entry of all) {
    if (entry.seq > head.seq) return
    yield entry
    if (entry.seq === head.seq) return
  }
}

export async function* exportLines(client: Client, head: AuditHead): AsyncIterable<string> {
  for await (const entry of entriesUpTo(client, head)) yield `${JSON.stringify(entry)}\n`
  yield `${JSON.stringify({ head })}\n`
}

/** The head of an exported file: its last line. Read first, because entries are then verified as they stream by. */
export async function exportedHead(file: string): Promise<AuditHead> {
  let last = ''
  for await (const line of linesOf(file)) if (line !== '') last = line
  const parsed = headLine.safeParse(parse(last))
  if (parsed.success) return parsed.data.head
  throw new AppError('audit.broken', `${file} does not end with a signed head: it is no export, or was cut`)
}

export async function* exportedEntries(file: string): AsyncIterable<AuditEntry> {
  let number = 0
  let ended = false
  for await (const line of linesOf(file)) {
    number += 1
    if (line === '') continue
    if (ended) throw new AppError('audit.broken', `${file}:${number} stands after the head`)
    const value = parse(line)
    ended = headLine.safeParse(value).success
    if (ended) continue
    const entry = auditEntry.safeParse(value)
    if (!entry.success) throw new AppError('audit.broken', `${file}:${number} is not an audit entry`)
    yield entry.data
  }
}

async function* linesOf(file: string): AsyncIterable<string> {
  const input = createReadStream(file, 'utf8')
  const failed = new Promise<never>((_, reject) => input.once('error', reject))
  failed.catch(() => {})
  const opened = new Promise<void>((resolve) => input.once('open', () => resolve()))
  await Promise.race([opened, failed])
  yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return
  }
}
