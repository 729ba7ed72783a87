import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { AppError, Secret } from '../core/index.ts'

// https://age-encryption.org/v1, so that the `age` command opens a backup too. Loaded when it is used.

/** An identity, which opens backups, and its recipient, which is all that making them needs. */
export async function newBackupKey(): Promise<{ identity: Secret; recipient: string }> {
  const age = await import('age-encryption')
  const identity = await age.generateX25519Identity()
  return { identity: new Secret(identity), recipient: await age.identityToRecipient(identity) }
}

export async function encryptTo(
  recipients: readonly string[],
  bytes: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const encrypter = await encrypterTo(recipients)
  return encrypter.encrypt(streamOf(bytes)) as Promise<unknown> as Promise<AsyncIterable<Uint8Array>>
}

/** Throws what is wrong with them. */
export async function checkRecipients(recipients: readonly string[]): Promise<void> {
  await (await encrypterTo(recipients)).encrypt('')
}

async function encrypterTo(recipients: readonly string[]) {
  const { Encrypter } = await import('age-encryption')
  const encrypter = new Encrypter()
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient)
    } catch {
      // Its text is not repeated: somebody may have taken the identity for the recipient.
      throw new AppError('request.invalid', 'a recipient must be a public key of age: age1…')
    }
  }
  return encrypter
}

/** `identities` is the text of an identity file: one a line, comments begin with `#`. */
export async function decryptWith(
  identities: Secret,
  bytes: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const { Decrypter } = await import('age-encryption')
  const decrypter = new Decrypter()
  const lines = identities
    .reveal()
    .split(/\r?\n/)
    .map((line) => line.trim())
  for (const line of lines.filter((text) => text !== '' && !text.startsWith('#'))) {
    try {
      decrypter.addIdentity(line)
    } catch {
      throw new AppError('request.invalid', 'the identity file holds a line that is no identity of age')
    }
  }
  try {
    const plain: unknown = await decrypter.decrypt(streamOf(bytes))
    return guarded(plain as AsyncIterable<Uint8Array>)
  } catch (error) {
    throw new AppError('backup.invalid', 'this identity does not open it, or it is no backup', {
      cause: error,
    })
  }
}

async function* guarded(plain: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* plain
  } catch (error) {
    throw new AppError('backup.invalid', 'it is cut off or was altered', { cause: error })
  }
}

const streamOf = (bytes: AsyncIterable<Uint8Array>): globalThis.ReadableStream<Uint8Array> =>
  Readable.toWeb(Readable.from(bytes)) as ReadableStream<Uint8Array> as globalThis.ReadableStream<Uint8Array>
