// The destination of a lent secret, as careless as one can be: whatever it is given it gives back, in every form that
// redaction promises to know.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'

export const otherHost = 'other.example.test'

const base64 = (before: string, value: string) => Buffer.from(before + value).toString('base64')
/** The forms that redaction promises to know, as a careless server would reflect them. */
const forms: Record<string, (value: string) => string | Buffer> = {
  plain: (value) => value,
  base64: (value) => base64('', value),
  'base64-1': (value) => base64('u:', value),
  'base64-2': (value) => base64('u', value),
  base64url: (value) => Buffer.from(value).toString('base64url'),
  hex: (value) => Buffer.from(value).toString('hex'),
  HEX: (value) => Buffer.from(value).toString('hex').toUpperCase(),
  percent: encodeURIComponent,
  form: (value) => String(new URLSearchParams({ value })),
  reversed: (value) => [...value].reverse().join(''),
  json: (value) => JSON.stringify({ value }),
  html: (value) => value.replaceAll('"', '&quot;'),
}
/** What to search for, beside base64 and hex of it: the same value in other letters. */
export const spellings = (value: string): { name: string; value: string }[] =>
  ['plain', 'percent', 'reversed', 'html']
    .map((name) => ({ name, value: String(forms[name]?.(value)) }))
    .concat({
      name: 'json',
      value: JSON.stringify(value).slice(1, -1),
    })

const encodings: Record<string, (text: string) => Buffer> = {
  gzip: gzipSync,
  br: brotliCompressSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
}

/** Places of an answer where a value may stand. */
const places: Record<string, (value: string, response: ServerResponse) => void> = {
  header: (value, response) => response.setHeader('x-echo', value).end(),
  cookie: (value, response) => response.setHeader('set-cookie', `k=${encodeURIComponent(value)}`).end(),
  status: (value, response) => response.writeHead(200, `OK ${value}`).end(),
  location(value, response) {
    const location = `https://${otherHost}/take?k=${encodeURIComponent(value)}`
    response.writeHead(302, { location }).end()
  },
  hints(value, response) {
    response.writeEarlyHints({ link: `<https://x/${encodeURIComponent(value)}>; rel=preload` })
    response.end()
  },
  events: (value, response) =>
    response.setHeader('content-type', 'text/event-stream').end(`data: ${value}\n\n`),
  error: (value, response) => response.writeHead(500).end(value),
  trailer(value, response) {
    response.writeHead(200, { trailer: 'x-echo' })
    response.write('see the trailer')
    response.addTrailers({ 'x-echo': value })
    response.end()
  },
  bytewise(value, response) {
    for (const byte of value) response.write(byte)
    response.end()
  },
}

function reflect(form: string, value: string, response: ServerResponse): void {
  const [write, compress, place] = [forms[form], encodings[form], places[form]]
  if (write) response.end(write(value))
  else if (compress) response.setHeader('content-encoding', form).end(compress(value))
  else if (place) place(value, response)
  else response.writeHead(404).end()
}

/** Its answers, and the values that it was given. */
export function carelessApi(): { answer: RequestListener; values(): readonly string[] } {
  const values: string[] = []
  let stored = ''
  const routes: Record<string, (value: string, response: ServerResponse, request: IncomingMessage) => void> =
    {
      reflect: (value, response, { url = '' }) => reflect(url.split('/')[2] ?? '', value, response),
      redirect: (_, response) => response.writeHead(307, { location: `https://${otherHost}/take` }).end(),
      store(value, response) {
        stored = value
        response.end('stored')
      },
      stored: (_, response) => response.end(stored),
      ranges(value, response, { headers }) {
        const [, from, to] = /bytes=(\d+)-(\d+)/.exec(String(headers.range)) ?? []
        response.end(from === undefined ? value : value.slice(Number(from), Number(to) + 1))
      },
    }
  return {
    answer(request, response) {
      const value = String(request.headers['x-key'] ?? '')
      values.push(value)
      request.resume()
      const route = routes[(request.url ?? '').split('/')[1] ?? '']
      if (route) route(value, response, request)
      else response.end('ok')
    },
    values: () => values,
  }
}
