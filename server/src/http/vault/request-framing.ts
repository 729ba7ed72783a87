/**
 * Follows the requests of one connection just far enough to know where each begins, and rewrites the method there: `LIST` to
 * `LINK`. It reads less leniently than the parser behind it: at the first byte that two readers might take differently it gives
 * up for good and leaves everything as it is, so that no body is ever changed.
 */
export type RequestFraming = {
  /** Changes the chunk in place. */
  readonly rewrite: (chunk: Buffer) => void
  /** False once it has given up. */
  isSure(): boolean
}

type State = 'method' | 'head' | 'body' | 'chunk-size' | 'trailer' | 'unsure'

const CR = 13
const LF = 10
const listBytes = Buffer.from('LIST')
const linkBytes = Buffer.from('LINK')
/** Stands in for a letter to make an unknown method of what would otherwise look like a rewritten one. */
const foreign = 'X'.charCodeAt(0)
const endOfHead = '\r\n\r\n'
/** The parser refuses more than 16 KiB of headers. */
const longestHeadBytes = 64 * 1024
const longestLineBytes = 1024
/** What needs a closer look: a body, another protocol, or a line end that not everybody takes for one. */
const unusual = /[^\r]\n|\r[^\n]|\n[ \t]|\n(?:content-length|transfer-encoding|upgrade)|^CONNECT /i
const framingField = /^(content-length|transfer-encoding):[ \t]*([^\r]*?)[ \t]*$/i
const framingFieldStart = /^(?:content-length|transfer-encoding)/i

export function createRequestFraming(): RequestFraming {
  let state: State = 'method'
  /** How many letters of the method have come, and whether they spell LIST or LINK so far. */
  let letters = 0
  let spellsList = true
  let spellsLink = true
  /** The head, or a line of a chunked body, as far as earlier chunks brought it. */
  let pending = ''
  /** Bytes of the body that still come before the next line or request. */
  let left = 0
  let afterBody: State = 'method'

  function giveUp(chunk: Buffer): number {
    state = 'unsure'
    pending = ''
    return chunk.length
  }

  function startRequest(): void {
    state = 'method'
    letters = 0
    spellsList = true
    spellsLink = true
    pending = ''
  }

  /** Letter by letter, because a chunk may end between any two and nothing can be taken back. */
  function readMethod(chunk: Buffer, from: number): number {
    let at = from
    if (letters === 0) while (chunk[at] === CR || chunk[at] === LF) at++
    for (; at < chunk.length && state === 'method'; at++) chunk[at] = rewriteLetter(chunk[at] ?? 0)
    return at
  }

  function rewriteLetter(letter: number): number {
    const wasList = spellsList
    spellsList &&= letter === listBytes[letters]
    spellsLink &&= letter === linkBytes[letters]
    const last = letters === 3
    const replacement = linkBytes[letters] ?? foreign
    letters++
    if (last || !(spellsList || spellsLink)) state = 'head'
    if (spellsList) return replacement
    // LINK itself, or LIS and then another letter: neither may pass for a LIST.
    return last && (spellsLink || wasList) ? foreign : letter
  }

  function readHead(chunk: Buffer, from: number): number {
    // The four bytes that end the head may lie across chunks, so what came before is searched with it.
    const before = pending.length
    const direct = before === 0 ? chunk.indexOf(endOfHead, from, 'latin1') : -1
    if (direct >= 0) return endHead(chunk, chunk.toString('latin1', from, direct), direct + endOfHead.length)
    pending += chunk.toString('latin1', from)
    if (pending.length > longestHeadBytes) return giveUp(chunk)
    const end = pending.indexOf(endOfHead, Math.max(0, before - endOfHead.length))
    if (end < 0) return chunk.length
    return endHead(chunk, pending.slice(0, end), from + end - before + endOfHead.length)
  }

  function endHead(chunk: Buffer, head: string, next: number): number {
    startRequest()
    if (!unusual.test(head)) return next
    const framing = framingOf(head)
    if (framing === undefined) return giveUp(chunk)
    if (framing === 'chunked') state = 'chunk-size'
    else if (framing > 0) startBody(framing, 'method')
    return next
  }

  function startBody(bytes: number, next: State): void {
    state = 'body'
    left = bytes
    afterBody = next
  }

  function skipBody(chunk: Buffer, from: number): number {
    const skipped = Math.min(left, chunk.length - from)
    left -= skipped
    if (left === 0) state = afterBody
    return from + skipped
  }

  /** The size of a chunk, or a trailer: one line. */
  function readLine(chunk: Buffer, from: number): number {
    const end = chunk.indexOf(LF, from)
    pending += chunk.toString('latin1', from, end < 0 ? chunk.length : end)
    if (pending.length > longestLineBytes) return giveUp(chunk)
    if (end < 0) return chunk.length
    const line = pending
    pending = ''
    if (!line.endsWith('\r') || line.indexOf('\r') !== line.length - 1) return giveUp(chunk)
    return endLine(chunk, line.slice(0, -1), end + 1)
  }

  function endLine(chunk: Buffer, line: string, next: number): number {
    if (state === 'trailer') {
      if (line === '') startRequest()
      return next
    }
    if (!/^[0-9a-fA-F]{1,12}$/.test(line)) return giveUp(chunk)
    const size = Number.parseInt(line, 16)
    if (size === 0) state = 'trailer'
    else startBody(size + 2, 'chunk-size')
    return next
  }

  function step(chunk: Buffer, at: number): number {
    switch (state) {
      case 'method':
        return readMethod(chunk, at)
      case 'head':
        return readHead(chunk, at)
      case 'body':
        return skipBody(chunk, at)
      case 'chunk-size':
      case 'trailer':
        return readLine(chunk, at)
      case 'unsure':
        return chunk.length
    }
  }

  return {
    rewrite(chunk) {
      for (let at = 0; at < chunk.length; ) at = step(chunk, at)
    },
    isSure: () => state !== 'unsure',
  }
}

/** The length of the body that a head announces, or undefined when it could be read in more than one way. */
function framingOf(head: string): number | 'chunked' | undefined {
  const [line = '', ...fields] = head.split('\r\n')
  if (/[\r\n]/.test(head.replaceAll('\r\n', '')) || line.toUpperCase().startsWith('CONNECT '))
    return undefined
  if (fields.some((field) => /^(?:[ \t]|upgrade)/i.test(field))) return undefined
  const [framing, ...further] = fields.filter((field) => framingFieldStart.test(field))
  if (framing === undefined) return 0
  const [, name = '', value = ''] = framingField.exec(framing) ?? []
  if (further.length > 0) return undefined
  if (name.toLowerCase() === 'transfer-encoding')
    return value.toLowerCase() === 'chunked' ? 'chunked' : undefined
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined
}
