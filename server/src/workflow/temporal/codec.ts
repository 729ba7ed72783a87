import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Payload, PayloadCodec } from '@temporalio/common'
import { AppError, type Secret } from '../../core/index.ts'

const encoding = 'binary/keyward-aes-256-gcm'
const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** Everything that Temporal stores for us is sealed with this; its key is 32 bytes in base64. A payload is nonce, tag, ciphertext. */
export function createCodec(key: Secret): PayloadCodec {
  const keyBytes = (): Buffer => Buffer.from(key.reveal(), 'base64')

  function sealed(payload: Payload): Payload {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv(algorithm, keyBytes(), nonce).setAAD(Buffer.from(encoding))
    const ciphertext = Buffer.concat([cipher.update(flat(payload)), cipher.final()])
    return {
      metadata: { encoding: Buffer.from(encoding) },
      data: Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]),
    }
  }

  function opened(payload: Payload): Payload {
    if (!payload.data || textOf(payload.metadata?.['encoding']) !== encoding) throw foreign()
    const data = Buffer.from(payload.data)
    if (data.length < nonceBytes + tagBytes) throw foreign()
    const decipher = createDecipheriv(algorithm, keyBytes(), data.subarray(0, nonceBytes))
      .setAAD(Buffer.from(encoding))
      .setAuthTag(data.subarray(nonceBytes, nonceBytes + tagBytes))
    try {
      const rest = data.subarray(nonceBytes + tagBytes)
      return unflat(Buffer.concat([decipher.update(rest), decipher.final()]))
    } catch {
      throw foreign()
    }
  }

  return {
    encode: async (payloads) => payloads.map(sealed),
    decode: async (payloads) => payloads.map(opened),
  }
}

const foreign = (): AppError =>
  new AppError(
    'temporal.foreign_payload',
    'a payload from Temporal was not sealed with the key of this vault: another installation uses the same namespace, or somebody wrote into it. Give Keyward a namespace of its own.',
  )

const textOf = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('utf8')

type Flat = { metadata: Record<string, string>; data: string }

function flat({ metadata, data }: Payload): Buffer {
  const entries = Object.entries(metadata ?? {}).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ])
  return Buffer.from(
    JSON.stringify({
      metadata: Object.fromEntries(entries),
      data: Buffer.from(data ?? []).toString('base64'),
    }),
  )
}

function unflat(bytes: Buffer): Payload {
  const { metadata, data }: Flat = JSON.parse(bytes.toString('utf8'))
  const entries = Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')])
  return { metadata: Object.fromEntries(entries), data: Buffer.from(data, 'base64') }
}
