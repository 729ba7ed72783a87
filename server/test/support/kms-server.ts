import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** AWS KMS as far as its JSON API is documented for Encrypt and Decrypt: one key, one account, signatures verified. */
export type KmsServer = {
  readonly url: string
  readonly keyId: string
  readonly credentials: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', string>>
  /** Operations that were answered. */
  readonly asked: string[]
  /** Every request fails from now on, or works again. */
  fail(failing: boolean): void
}

const prefix = 'TrentService.'

export async function startKms(t: TestContext): Promise<KmsServer> {
  const key = randomBytes(32)
  const keyId = `alias/keyward-${randomBytes(3).toString('hex')}`
  const credentials = {
    AWS_ACCESS_KEY_ID: `AKIATEST${randomBytes(6).toString('hex').toUpperCase()}`,
    AWS_SECRET_ACCESS_KEY: randomBytes(30).toString('base64'),
  }
  const asked: string[] = []
  let failing = false

  function answer(operation: string, body: Record<string, string>): [number, Record<string, unknown>] {
    if (failing) return [500, { __type: 'KMSInternalException', message: 'on purpose' }]
    if (operation === 'Encrypt') {
      if (body['KeyId'] !== keyId)
        return [400, { __type: 'NotFoundException', message: `no key ${body['KeyId']}` }]
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const closed = Buffer.concat([cipher.update(body['Plaintext'] ?? '', 'base64'), cipher.final()])
      const blob = Buffer.concat([nonce, cipher.getAuthTag(), closed]).toString('base64')
      return [200, { CiphertextBlob: blob, KeyId: keyId }]
    }
    const blob = Buffer.from(body['CiphertextBlob'] ?? '', 'base64')
    try {
      const opener = createDecipheriv('aes-256-gcm', key, blob.subarray(0, 12))
      opener.setAuthTag(blob.subarray(12, 28))
      const plain = Buffer.concat([opener.update(blob.subarray(28)), opener.final()])
      return [200, { Plaintext: plain.toString('base64'), KeyId: keyId }]
    } catch {
      return [400, { __type: 'InvalidCiphertextException', message: 'not of this key' }]
    }
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const operation = String(request.headers['x-amz-target']).replace(prefix, '')
      const [status, body] = isSigned(request, text, credentials.AWS_SECRET_ACCESS_KEY)
        ? answer(operation, JSON.parse(text) as Record<string, string>)
        : ([
            400,
            { __type: 'IncompleteSignatureException', message: 'the signature does not match' },
          ] as const)
      if (status === 200) asked.push(operation)
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    keyId,
    credentials,
    asked,
    fail(on) {
      failing = on
    },
  }
}

/** The signature, version 4, of a request without a query, from what was sent. */
function isSigned(request: IncomingMessage, body: string, secretKey: string): boolean {
  const [, scope = '', names = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    ) ?? []
  const headers = Object.fromEntries(names.split(';').map((name) => [name, String(request.headers[name])]))
  const expected = signatureOf({
    method: request.method ?? '',
    path: request.url ?? '',
    headers,
    body,
    time: String(request.headers['x-amz-date']),
    scope,
    secretKey,
  })
  return signature.length === 64 && timingSafeEqual(Buffer.from(signature), Buffer.from(expected))
}

type Signed = {
  method: string
  path: string
  headers: Record<string, string>
  body: string
  time: string
  scope: string
  secretKey: string
}

/** By Amazon's description of the signing process, not by its code. */
export function signatureOf({ method, path, headers, body, time, scope, secretKey }: Signed): string {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const names = Object.keys(headers).sort()
  const canonical = [
    method,
    path,
    '',
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim()}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = scope.split('/').reduce<string | Buffer>((from, part) => hmac(from, part), `AWS4${secretKey}`)
  return createHmac('sha256', key).update(toSign).digest('hex')
}
