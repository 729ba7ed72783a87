// A payments API of our own on loopback, so that the first run has something to call. Like many a real one it is careless:
// it repeats the key that it was given, in a header and in the body.
import { createHash } from 'node:crypto'
import { createServer } from 'node:https'

export const host = 'payments.copperkettle.example'

/** Starts the API; `seen` tells the SHA-256 of every key that it was given. */
export async function startPaymentsApi({ certificatePem, keyPem }) {
  const seen = []
  const server = createServer({ cert: certificatePem, key: keyPem, minVersion: 'TLSv1.3' }, (request, response) => {
    const key = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    if (key === '') return response.writeHead(401).end('{"error":"no key"}\n')
    seen.push(createHash('sha256').update(key).digest('hex'))
    response.writeHead(200, { 'content-type': 'application/json', 'x-echo': key })
    response.end(`${JSON.stringify({ balance: 128_400, currency: 'EUR', youSentMe: key })}\n`)
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${server.address().port}`,
    seen,
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  }
}
