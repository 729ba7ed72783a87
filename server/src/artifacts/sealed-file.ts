import { createCipheriv, createDecipheriv } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { AppError } from '../core/index.ts'

// AES-256-GCM in pieces, as STREAM does it (https://eprint.iacr.org/2015/189): the nonce of a piece is its number and whether it is
// the last, so that pieces can be neither exchanged nor left out. A key is used for one file.

const pieceBytes = 64 * 1024
const tagBytes = 16

export type SealedWriter = {
  write(bytes: Uint8Array): Promise<void>
  /** Writes the last piece; resolves when it is on disk. */
  finish(): Promise<void>
  close(): Promise<void>
}

/** Fails where the file exists. */
export async function createSealedFile(path: string, key: Buffer): Promise<SealedWriter> {
  const file = await open(path, 'wx', 0o600)
  let held: Buffer = Buffer.alloc(0)
  let number = 0

  async function put(piece: Buffer, isLast: boolean): Promise<void> {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number++, isLast))
    await file.appendFile(Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()]))
  }

  return {
    async write(bytes) {
      held = Buffer.concat([held, bytes])
      // More than a piece is held only until the next is known to follow: the last one is marked.
      while (held.length > pieceBytes) {
        await put(held.subarray(0, pieceBytes), false)
        held = held.subarray(pieceBytes)
      }
    },
    async finish() {
      await put(held, true)
      await file.sync()
      await file.close()
    },
    close: () => file.close().catch(() => undefined),
  }
}

/** Throws `artifact.corrupt` for a file that is not whole, and before a byte of it for one of another key. */
export async function* readSealedFile(path: string, key: Buffer): AsyncGenerator<Buffer> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const count = Math.ceil(size / (pieceBytes + tagBytes))
    if (count === 0) throw corrupt()
    for (let number = 0; number < count; number++)
      yield opened(await pieceAt(file, number), key, nonceOf(number, number === count - 1))
  } finally {
    await file.close()
  }
}

async function pieceAt(file: FileHandle, number: number): Promise<Buffer> {
  const length = pieceBytes + tagBytes
  const piece = Buffer.alloc(length)
  let filled = 0
  for (;;) {
    const { bytesRead } = await file.read(piece, filled, length - filled, number * length + filled)
    filled += bytesRead
    if (bytesRead === 0 || filled === length) return piece.subarray(0, filled)
  }
}

function opened(piece: Buffer, key: Buffer, nonce: Buffer): Buffer {
  if (piece.length < tagBytes) throw corrupt()
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  decipher.setAuthTag(piece.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(piece.subarray(0, -tagBytes)), decipher.final()])
  } catch {
    throw corrupt()
  }
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(number, 5, 6)
  nonce[11] = isLast ? 1 : 0
  return nonce
}

const corrupt = (): AppError =>
  new AppError('artifact.corrupt', 'its file is not what was written; run its task again')
