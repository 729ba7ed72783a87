import { AppError } from '../../core/index.ts'

/** Somebody's public PGP key. */
export type Recipient = {
  /** In hexadecimal, as `gpg` shows it, in small letters. */
  readonly fingerprint: string
  encrypt(text: string): Promise<Buffer>
}

/** A key with many signatures of others has some kilobytes; anybody may send one. */
const longestKeyText = 64 * 1024

/**
 * Reads public keys as Vault's clients send them: the binary form, in base64. Each is tried at once, because a key that cannot
 * encrypt must be known before anything is made that only its owner may read.
 */
export async function readRecipients(keys: readonly string[]): Promise<Recipient[]> {
  if (keys.length === 0) return []
  // Loaded when it is wanted for the first time: few vaults ever need it.
  const { createMessage, encrypt, readKey } = await import('openpgp')
  return Promise.all(
    keys.map(async (text, i) => {
      try {
        if (text.length > longestKeyText) throw new Error('it is too long')
        const key = await readKey({ binaryKey: new Uint8Array(Buffer.from(text, 'base64')) })
        if (key.isPrivate()) throw new Error('it is a private key')
        const recipient: Recipient = {
          fingerprint: key.getFingerprint(),
          async encrypt(plain) {
            const message = await createMessage({ binary: new TextEncoder().encode(plain) })
            return Buffer.from(await encrypt({ message, encryptionKeys: key, format: 'binary' }))
          },
        }
        await recipient.encrypt('')
        return recipient
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new AppError('request.invalid', `error parsing PGP key ${i + 1}: ${reason}`)
      }
    }),
  )
}
