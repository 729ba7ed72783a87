import type { KMSClient } from '@aws-sdk/client-kms'
import { AppError, reasonOf } from '../../core/index.ts'
import type { KeyWrapper } from './key-wrapper.ts'

export type AwsKmsSettings = {
  /** Id, alias or ARN. */
  readonly keyId: string
  readonly region: string
  readonly endpoint?: string | undefined
}

/** The key lies in AWS KMS and never leaves it. Credentials come from where Amazon's own programs take them. */
export function createAwsKmsWrapper({ keyId, region, endpoint }: AwsKmsSettings): KeyWrapper {
  let client: KMSClient | undefined

  /** Loaded when it is wanted: it costs 30 MB, and few vaults need it. */
  async function kms() {
    const sdk = await import('@aws-sdk/client-kms')
    client ??= new sdk.KMSClient({ region, ...(endpoint === undefined ? {} : { endpoint }) })
    return { sdk, client }
  }

  async function answerOf(what: string, ask: () => Promise<Uint8Array | undefined>): Promise<Buffer> {
    try {
      const bytes = await ask()
      if (!bytes) throw new Error('the answer is empty')
      return Buffer.from(bytes)
    } catch (error) {
      // The next attempt looks for credentials again: those of now may be the reason.
      client?.destroy()
      client = undefined
      throw new AppError(
        'vault.seal_unavailable',
        `AWS KMS did not ${what} with the key ${keyId}: ${reasonOf(error)}`,
      )
    }
  }

  return {
    kind: 'awskms',
    wrap: (rootKey) =>
      answerOf('encrypt', async () => {
        const { sdk, client: open } = await kms()
        return (await open.send(new sdk.EncryptCommand({ KeyId: keyId, Plaintext: rootKey }))).CiphertextBlob
      }),
    unwrap: (wrapped) =>
      answerOf('decrypt', async () => {
        const { sdk, client: open } = await kms()
        return (await open.send(new sdk.DecryptCommand({ KeyId: keyId, CiphertextBlob: wrapped }))).Plaintext
      }),
  }
}
