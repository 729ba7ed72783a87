import type { Duplex } from 'node:stream'
import { take } from './read.ts'
import { invalid } from './refused.ts'

/** What becomes of one command of a client. `answer`: nothing of it is sent, and this is what the client hears. */
export type Ruling =
  | { readonly pass: true }
  | { readonly answer: string }
  | { readonly instead: readonly string[] }

/** They tell or change who may do what, let the server call others, run code in it, or leave the order of question and answer. */
const refused = new Set([
  ...['ACL', 'CONFIG', 'DEBUG', 'MODULE', 'CLUSTER', 'SLOWLOG', 'LATENCY'],
  ...['MIGRATE', 'REPLICAOF', 'SLAVEOF', 'FAILOVER', 'SHUTDOWN', 'SAVE', 'BGSAVE', 'BGREWRITEAOF'],
  ...['EVAL', 'EVALSHA', 'EVAL_RO', 'EVALSHA_RO', 'SCRIPT', 'FUNCTION', 'FCALL', 'FCALL_RO'],
])
const never = new Set(['MONITOR', 'SYNC', 'PSYNC', 'REPLCONF', 'RESET'])
/** Of these, some parts do no harm. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  ACL: ['WHOAMI'],
  CLIENT: [
    'SETNAME',
    'GETNAME',
    'SETINFO',
    'ID',
    'INFO',
    'TRACKING',
    'TRACKINGINFO',
    'CACHING',
    'NO-EVICT',
    'NO-TOUCH',
  ],
}

/** Parts of a command that must be known before it is judged; the rest of it passes as it comes. */
function partsNeeded(name: string, count: number): number {
  // Redis compares names up to a NUL, so what is told apart here could be the same there.
  if (!/^[\x21-\x7e]+$/.test(name)) throw invalid('The name of a command has characters that none has.')
  if (name === 'AUTH' || name === 'HELLO') {
    if (count > mostBefore) throw invalid('A login has more parts than any has.')
    return count
  }
  return harmless[name] ? Math.min(2, count) : 1
}

export function refusalOf(
  [name = '', part = '']: readonly string[],
  allow: readonly string[],
): string | undefined {
  const isHarmless = harmless[name]?.includes(part.toUpperCase()) ?? false
  const isRefused = never.has(name) || ((refused.has(name) || name === 'CLIENT') && !allow.includes(name))
  if (!isRefused || isHarmless) return undefined
  const called =
    /^[A-Z_]+$/.test(part.toUpperCase()) && harmless[name] ? `${name} ${part.toUpperCase()}` : name
  return `-NOPERM Keyward: ${called} is not lent with this account\r\n`
}

/** The user and password that HELLO carries, and HELLO without them. Throws when it carries several: Redis heeds the last. */
export function readHello(words: readonly string[]): { login: readonly string[]; rest: readonly string[] } {
  const isLogin = (word: string, index: number): boolean => index > 1 && word.toUpperCase() === 'AUTH'
  const at = words.findIndex(isLogin)
  if (at < 0) return { login: [], rest: words }
  const rest = [...words.slice(0, at), ...words.slice(at + 3)]
  if (rest.some(isLogin)) throw invalid('HELLO carries more than one login.')
  return { login: words.slice(at + 1, at + 3), rest }
}

export const encoded = (words: readonly string[]): Buffer =>
  Buffer.from(
    `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`,
  )

const longestLine = 32
const longestCollected = 8192
const longestPart = 512 * 1024 * 1024
const mostParts = 1024 * 1024

const unwritten = 'A command is not written in the protocol of Redis.'

function numberIn(line: Buffer, sign: string, least: number, most: number): number {
  const [, digits] = /^.(\d{1,10})\r\n$/.exec(line.toString('latin1')) ?? []
  const value = Number(digits)
  if (line.toString('latin1', 0, 1) !== sign || digits === undefined || value < least || value > most)
    throw invalid(unwritten)
  return value
}

const mostBefore = 16

/** One command of a client that has not signed in yet; the rest stays unread. */
export async function readCommand(client: Duplex): Promise<string[]> {
  const count = numberIn(await readLine(client), '*', 1, mostBefore)
  const words: string[] = []
  for (let at = 0; at < count; at++) {
    const length = numberIn(await readLine(client), '$', 0, longestCollected)
    words.push((await take(client, length + 2)).toString('utf8').slice(0, -2))
  }
  return words
}

async function readLine(client: Duplex): Promise<Buffer> {
  const bytes: Buffer[] = []
  while (bytes.at(-1)?.[0] !== 0x0a) {
    if (bytes.length > longestLine) throw invalid(unwritten)
    bytes.push(await take(client, 1))
  }
  return Buffer.concat(bytes)
}

type Hears = {
  /** Once enough of it is known; the name is in capitals. */
  judge(words: readonly string[]): Ruling
  send(bytes: Buffer): void
  /** The whole command has been read. */
  ended(ruling: Ruling): void
}

/** Reads commands as arrays of strings, as every client library writes them, and passes on or drops each as it is ruled. */
export function commandFilter({ judge, send, ended }: Hears): (chunk: Buffer) => void {
  let line: Buffer = Buffer.alloc(0)
  /** Parts of this command that are still to come, and bytes of this part with the line end that follows. */
  let parts = 0
  let bytes = 0
  let count = 0
  let words: string[] = []
  let collected: Buffer[] = []
  let ruling: Ruling | undefined
  let part: Buffer[] = []

  const keep = (piece: Buffer): void => {
    if (!ruling) collected.push(piece)
    else if ('pass' in ruling) send(piece)
  }
  const decide = (): void => {
    ruling = judge(words)
    if ('pass' in ruling) send(Buffer.concat(collected))
    if ('instead' in ruling) send(encoded(ruling.instead))
    collected = []
  }
  const partEnded = (): void => {
    if (!ruling) {
      const text = Buffer.concat(part).toString('utf8').slice(0, -2)
      words.push(words.length === 0 ? text.toUpperCase() : text)
      part = []
      if (words.length >= partsNeeded(words[0] ?? '', count)) decide()
    }
    if (--parts > 0) return
    const done = ruling
    ruling = undefined
    words = []
    if (done) ended(done)
  }
  const readLine = (piece: Buffer): void => {
    line = Buffer.concat([line, piece])
    if (line.at(-1) !== 0x0a) {
      if (line.length > longestLine) throw invalid(unwritten)
      return
    }
    keep(line)
    if (parts === 0) {
      count = numberIn(line, '*', 1, mostParts)
      parts = count
    } else bytes = numberIn(line, '$', 0, longestPart) + 2
    line = Buffer.alloc(0)
  }
  const readPart = (piece: Buffer): void => {
    bytes -= piece.length
    keep(piece)
    if (!ruling) {
      part.push(piece)
      const held = part.reduce((sum, { length }) => sum + length, 0)
      if (held > longestCollected) throw invalid('A command has a name, or a login, that is too long.')
    }
    if (bytes === 0) partEnded()
  }
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      const end = chunk.indexOf(0x0a, at)
      const piece =
        bytes > 0 ? chunk.subarray(at, at + bytes) : chunk.subarray(at, end < 0 ? chunk.length : end + 1)
      at += piece.length
      if (bytes > 0) readPart(piece)
      else readLine(piece)
    }
  }
}
