// A security key in software: WebAuthn with ES256, as a browser hands it on.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const sha256 = (bytes: string | Buffer): Buffer => createHash('sha256').update(bytes).digest()
const url = (bytes: Buffer): string => bytes.toString('base64url')

const head = (kind: number, length: number): Buffer =>
  length < 24
    ? Buffer.from([(kind << 5) | length])
    : length < 256
      ? Buffer.from([(kind << 5) | 24, length])
      : Buffer.from([(kind << 5) | 25, length >> 8, length & 255])
const bytesOf = (bytes: Buffer): Buffer => Buffer.concat([head(2, bytes.length), bytes])
const textOf = (text: string): Buffer => Buffer.concat([head(3, Buffer.byteLength(text)), Buffer.from(text)])
/** Only as far as keys and attestations need: -24…23 and -257. */
const numberOf = (n: number): Buffer => (n >= 0 ? head(0, n) : head(1, -1 - n))

export function createSecurityKey(origin: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' })
  const credential = randomBytes(32)
  let counter = 0

  const clientData = (type: string, challenge: string, at = origin): string =>
    url(Buffer.from(JSON.stringify({ type, challenge, origin: at, crossOrigin: false })))

  const authData = (flags: number, at = origin): Buffer => {
    const count = Buffer.alloc(4)
    count.writeUInt32BE(counter)
    return Buffer.concat([sha256(new URL(at).hostname), Buffer.from([flags]), count])
  }

  return {
    credential: url(credential),
    /** As if the key were copied at this count. */
    setCounter(to: number): void {
      counter = to
    },
    create(challenge: string, more: { origin?: string; flags?: number } = {}) {
      const coordinate = (part: string | undefined): Buffer => bytesOf(Buffer.from(part ?? '', 'base64url'))
      const cose = Buffer.concat([
        head(5, 5),
        ...[numberOf(1), numberOf(2), numberOf(3), numberOf(-7), numberOf(-1), numberOf(1)],
        ...[numberOf(-2), coordinate(jwk.x), numberOf(-3), coordinate(jwk.y)],
      ])
      const length = Buffer.from([0, credential.length])
      const data = Buffer.concat([
        authData(more.flags ?? 0x41, more.origin),
        Buffer.alloc(16),
        length,
        credential,
        cose,
      ])
      const attestation = Buffer.concat([
        head(5, 3),
        ...[textOf('fmt'), textOf('none'), textOf('attStmt'), head(5, 0), textOf('authData'), bytesOf(data)],
      ])
      return {
        clientData: clientData('webauthn.create', challenge, more.origin),
        attestation: url(attestation),
      }
    },
    get(challenge: string, more: { origin?: string; flags?: number } = {}) {
      counter += 1
      const data = authData(more.flags ?? 0x01, more.origin)
      const client = clientData('webauthn.get', challenge, more.origin)
      const signed = Buffer.concat([data, sha256(Buffer.from(client, 'base64url'))])
      return {
        credential: url(credential),
        clientData: client,
        authenticatorData: url(data),
        signature: url(sign('sha256', signed, privateKey)),
      }
    },
  }
}
