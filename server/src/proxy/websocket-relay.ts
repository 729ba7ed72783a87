import { isUtf8 } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { Verdict } from './judge.ts'
import type { Limits } from './messages.ts'
import { createPlaceholderScan, placeholdersIn } from './placeholders.ts'
import { type Patterns, type Redactor, redactionMark, redactorOf, redactText } from './redact.ts'
import { count, overBudget, type Tally } from './tally.ts'
import {
  closePayload,
  closeProblem,
  createFrameReader,
  frameOf,
  opcodes,
  type Piece,
} from './websocket-frames.ts'

type Needs = {
  readonly client: Duplex
  readonly upstream: Duplex
  readonly tally: Tally
  readonly patterns: Patterns
  readonly limits: Limits
  readonly newMask: () => Buffer
  /** A whole text message in which placeholders stand. */
  exchangeMessage(message: Buffer): Promise<Buffer | Verdict>
}
export type Relay = {
  /** Resolves when nothing more passes. */
  run(): Promise<void>
  /** Ends both sides; the client is told why. */
  stop(verdict: Verdict, outcome?: Tally['outcome']): void
}
type Data = Extract<Piece, { kind: 'data' }>
type Control = Extract<Piece, { kind: 'control' }>
type Side = 'client' | 'upstream'

const misplaced = ({ exchangeBodyBytes }: Limits): Verdict => ({
  code: 'request.invalid',
  reason: `A placeholder stands where none is exchanged: only in text messages of up to ${exchangeBodyBytes} bytes it is.`,
  outcome: 'misused',
})
const malformed = (reason: string): Verdict => ({ code: 'request.invalid', reason })
const empty = Buffer.alloc(0)
const closeCodes: Partial<Record<Verdict['code'], number>> = {
  'request.invalid': 1002,
  'lease.over_budget': 1008,
  'server.internal': 1011,
}

/** Resolves when the other side has taken what was written so far, or is gone. */
async function send(to: Duplex, frame: Buffer): Promise<void> {
  if (!to.writable || to.write(frame)) return
  await new Promise<void>((resolve) => {
    const go = (): void => {
      to.off('drain', go)
      to.off('close', go)
      resolve()
    }
    to.once('drain', go)
    to.once('close', go)
  })
}

/** Passes messages between the two ends of a WebSocket: placeholders are exchanged one way, values are taken out the other. */
export function createRelay(needs: Needs): Relay {
  const { client, upstream, tally, patterns, limits, newMask, exchangeMessage } = needs
  const closed = new Set<Side>()
  let isStopped = false

  const toClient = (opcode: number, isFinal: boolean, payload: Buffer): Promise<void> =>
    isStopped ? Promise.resolve() : send(client, frameOf({ opcode, isFinal, payload, mask: undefined }))
  const toUpstream = (opcode: number, isFinal: boolean, payload: Buffer): Promise<void> =>
    isStopped ? Promise.resolve() : send(upstream, frameOf({ opcode, isFinal, payload, mask: newMask() }))

  const finish = (): void => {
    isStopped = true
    for (const socket of [client, upstream]) {
      socket.end()
      const late = setTimeout(() => socket.destroy(), limits.handshakeSeconds * 1000)
      socket.once('close', () => clearTimeout(late))
    }
  }

  const stop: Relay['stop'] = (verdict, outcome = 'denied') => {
    if (isStopped) return
    tally.outcome = verdict.outcome ?? outcome
    tally.reason ??= verdict.reason
    const code = verdict.outcome === 'misused' ? 1008 : (closeCodes[verdict.code] ?? 1008)
    void toClient(opcodes.close, true, closePayload(code, verdict.reason))
    void toUpstream(opcodes.close, true, closePayload(1001, ''))
    finish()
  }

  /** A close by one side is passed on, and the connection ends when the other has answered it. */
  const closeBy = async (side: Side, payload: Buffer): Promise<void> => {
    const wrong = closeProblem(payload)
    if (wrong !== undefined) return stop(malformed(wrong), side === 'client' ? 'denied' : 'failed')
    closed.add(side)
    if (side === 'client') await toUpstream(opcodes.close, true, payload)
    else await toClient(opcodes.close, true, withoutValues(opcodes.close, payload))
    if (closed.size === 2) return finish()
    const late = setTimeout(finish, limits.handshakeSeconds * 1000)
    client.once('close', () => clearTimeout(late))
  }

  /** A control frame is too short to hold a mark beside much else, so the mark takes the place of all of it. */
  const withoutValues = (opcode: number, payload: Buffer): Buffer => {
    const text = payload.toString('latin1')
    if (redactText(patterns, text, 'latin1') === text) return payload
    tally.redactions++
    const mark = Buffer.from(redactionMark)
    return opcode === opcodes.close ? Buffer.concat([payload.subarray(0, 2), mark]) : mark
  }

  const control = async (side: Side, { opcode, payload }: Control): Promise<void> => {
    if (side === 'client' && placeholdersIn(payload.toString('latin1')).length > 0)
      return stop(misplaced(limits))
    if (opcode === opcodes.close) return closeBy(side, payload)
    if (side === 'client') await toUpstream(opcode, true, payload)
    else await toClient(opcode, true, withoutValues(opcode, payload))
  }

  const pump = async (side: Side, pass: (piece: Data) => Promise<void>): Promise<void> => {
    const source = side === 'client' ? client : upstream
    const maxMessageBytes = side === 'client' ? limits.requestBodyBytes : Number.MAX_SAFE_INTEGER
    const read = createFrameReader({ fromClient: side === 'client', maxMessageBytes })
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      for (const piece of read(chunk as Buffer)) {
        await handle(side, piece, pass)
        if (isStopped || closed.has(side)) return
      }
    }
  }

  const handle = async (side: Side, piece: Piece, pass: (piece: Data) => Promise<void>): Promise<void> => {
    if (isStopped) return
    if (piece.kind === 'data') await pass(piece)
    else if (piece.kind === 'control') await control(side, piece)
    else stop(malformed(piece.reason), side === 'client' ? 'denied' : 'failed')
  }

  const counted = (way: 'bytesOut' | 'bytesIn', bytes: number): boolean => {
    if (!count(tally, way, bytes)) stop(overBudget)
    return !isStopped
  }

  /** One side that is gone takes the other along; a close before it was told already. */
  const leave = (side: Side): void => {
    if (isStopped || closed.has(side)) return
    const who = side === 'client' ? 'The client' : 'The destination'
    stop({ code: 'egress.unreachable', reason: `${who} left the WebSocket without closing it.` }, 'failed')
  }
  const along = (side: Side, pumping: Promise<void>): Promise<void> =>
    pumping.then(
      () => leave(side),
      () => leave(side),
    )

  return {
    stop,
    async run() {
      const outward = createOutward({ limits, exchangeMessage, stop, send: toUpstream })
      const inward = createInward({ patterns, tally, send: toClient })
      await Promise.all([
        along(
          'client',
          pump('client', async (piece) => {
            if (counted('bytesOut', piece.bytes.length)) await outward(piece)
          }),
        ),
        along(
          'upstream',
          pump('upstream', async (piece) => {
            if (counted('bytesIn', piece.bytes.length)) await inward(piece)
          }),
        ),
      ])
    },
  }
}

type Send = (opcode: number, isFinal: boolean, payload: Buffer) => Promise<void>
const opcodeOf = ({ isText }: Data): number => (isText ? opcodes.text : opcodes.binary)

type OutwardNeeds = Pick<Needs, 'limits' | 'exchangeMessage'> & { stop: Relay['stop']; send: Send }

/** Messages of the client: short ones are read whole, of longer ones each part is searched as it passes. */
function createOutward({ limits, exchangeMessage, stop, send }: OutwardNeeds) {
  let held: Buffer[] = []
  let heldBytes = 0
  let scan: ReturnType<typeof createPlaceholderScan> | undefined

  const whole = async (piece: Data, message: Buffer): Promise<void> => {
    if (piece.isText && !isUtf8(message)) return stop(malformed('A text message is not UTF-8.'))
    if (placeholdersIn(message.toString('latin1')).length === 0) return send(opcodeOf(piece), true, message)
    if (!piece.isText) return stop(misplaced(limits))
    const exchanged = await exchangeMessage(message)
    if ('code' in exchanged) return stop(exchanged)
    await send(opcodes.text, true, exchanged)
  }

  const part = async (piece: Data, bytes: Buffer, opcode: number): Promise<void> => {
    scan ??= createPlaceholderScan()
    if (scan(bytes) !== undefined) return stop(misplaced(limits))
    await send(opcode, piece.isEnd, bytes)
  }

  return async (piece: Data): Promise<void> => {
    if (scan) {
      await part(piece, piece.bytes, opcodes.continuation)
    } else {
      held.push(piece.bytes)
      heldBytes += piece.bytes.length
      if (!piece.isEnd && heldBytes <= limits.exchangeBodyBytes) return
      const message = Buffer.concat(held)
      held = []
      heldBytes = 0
      if (message.length <= limits.exchangeBodyBytes) await whole(piece, message)
      else await part(piece, message, opcodeOf(piece))
    }
    if (piece.isEnd) scan = undefined
  }
}

/** Messages of the server: each is searched by itself, however it was cut into frames. */
function createInward({ patterns, tally, send }: Pick<Needs, 'patterns' | 'tally'> & { send: Send }) {
  let redactor: Redactor | undefined
  let isBegun = false
  return async (piece: Data): Promise<void> => {
    redactor ??= redactorOf(patterns, () => {
      tally.redactions++
    })
    const passed = redactor.push(piece.bytes)
    const payload = Buffer.concat([passed, piece.isEnd ? redactor.end() : empty])
    if (payload.length === 0 && !piece.isEnd) return
    const opcode = isBegun ? opcodes.continuation : opcodeOf(piece)
    isBegun = !piece.isEnd
    if (piece.isEnd) redactor = undefined
    await send(opcode, piece.isEnd, payload)
  }
}
