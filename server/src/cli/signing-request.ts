import { generateKeyPairSync, sign } from 'node:crypto'
import { Secret } from '../core/index.ts'

/** All of it is shorter than 128 bytes or than 65,536, so that two forms of a length are enough (X.690, 8.1.3). */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  const length =
    body.length < 128
      ? [body.length]
      : body.length < 256
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2. */
const algorithm = sequence(der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))

/**
 * A new P-256 key, PKCS #8 in PEM, and the request to sign a certificate for it (PKCS #10, RFC 2986). The request has no name:
 * whoever signs it knows for whom.
 */
export function newSigningRequest(): { readonly requestPem: string; readonly keyPem: Secret } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const version = der(0x02, Buffer.from([0]))
  const noAttributes = der(0xa0)
  const content = sequence(
    version,
    sequence(),
    publicKey.export({ type: 'spki', format: 'der' }),
    noAttributes,
  )
  const signature = sign('sha256', content, { key: privateKey, dsaEncoding: 'der' })
  const request = sequence(content, algorithm, der(0x03, Buffer.from([0]), signature))
  const lines = request.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    requestPem: `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`,
    keyPem: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
  }
}
