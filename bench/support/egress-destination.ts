// The server that the requests of bench/egress.ts are for, in a process of its own. It answers at once, with headers as an API
// has them; reads and writes by hand, so that little of the machine is taken from what is measured.
import { fork } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'

type Order = { readonly certificatePem: string; readonly keyPem: string; readonly downloadBytes: number }
export type Destination = { readonly port: number; stop(): void }

const words = 'words of an answer, '

/**
 * `/` answers 1,000 bytes, `/echo` the same with the header `x-key` behind them, `/download` so many bytes as are ordered,
 * `/upload` when all of the body is there.
 */
export function startDestination(order: Order): Promise<Destination> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: 'inherit' })
  child.send(order)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('message', (port: number) => resolve({ port, stop: () => void child.kill() }))
  })
}

const head = (length: string): string =>
  `HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 20:00:00 GMT\r\nContent-Type: application/json\r\n${length}Cache-Control: no-store\r\nX-Request-Id: 8f3b1a52c9d04e76\r\n\r\n`

const sized = (body: string): string => `${head(`Content-Length: ${body.length}\r\n`)}${body}`

async function download(tls: TLSSocket, bytes: number): Promise<void> {
  const part = Buffer.from(words.repeat(3276))
  tls.write(head(`Content-Length: ${bytes}\r\n`))
  for (let left = bytes; left > 0; left -= part.length)
    if (!tls.write(part.subarray(0, left))) await new Promise((resolve) => tls.once('drain', resolve))
}

/** Answers each request of a connection when its head, and its body if it has a length, are there. */
function serve(tls: TLSSocket, { downloadBytes }: Order): void {
  const plain = words.repeat(50)
  let held = ''
  let bodyLeft = 0
  const answer = (request: string): void => {
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(request)?.[1] ?? 0)
    if (request.startsWith('GET /download ')) void download(tls, downloadBytes)
    else if (request.startsWith('GET /echo ')) tls.write(sized(plain + /\r\nx-key: (.*)/i.exec(request)?.[1]))
    else if (length === 0) tls.write(sized(plain))
    bodyLeft = length
  }
  const take = (body: number): void => {
    bodyLeft -= body
    if (body > 0 && bodyLeft === 0) tls.write(sized('all of it'))
  }
  tls.on('error', () => tls.destroy())
  tls.on('data', (chunk: Buffer) => {
    if (bodyLeft > 0) return take(chunk.length)
    held += chunk.toString('latin1')
    const end = held.indexOf('\r\n\r\n')
    if (end < 0) return
    const request = held.slice(0, end)
    const rest = held.length - end - 4
    held = ''
    answer(request)
    take(rest)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.once('message', (order: Order) => {
    const { certificatePem, keyPem } = order
    const server = createServer({ cert: certificatePem, key: keyPem }, (tls) => serve(tls, order))
    server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  })
