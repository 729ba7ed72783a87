import { randomUUID } from 'node:crypto'
import type { Audit } from '../../audit/index.ts'
import { AppError, Secret } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { newTokenValue, randomText } from '../tokens/tokens.ts'
import { type Recipient, readRecipients } from './pgp.ts'
import { addShare, type Given, type Step } from './procedure.ts'
import { createQuorum, type Quorum } from './quorum.ts'
import type { Seal } from './seal.ts'
import { holdersOf } from './seal-config.ts'

/**
 * A new root token, when enough owners agree by giving their shares. It leaves encrypted: by a one-time pad that only who began
 * it knows, or by a PGP key.
 */
export type RootGeneration = {
  /** Returns the pad if it was made here. */
  begin(options: { otp: string; pgpKey: string }): Promise<string>
  status(otp?: string): Readonly<Record<string, unknown>>
  cancel(): void
  update(given: Given): Promise<Step>
  forget(): void
}

type Needs = {
  seal: Pick<Seal, 'status' | 'config' | 'isHeld'>
  barrier: Pick<Barrier, 'isOpen'>
  audit: Pick<Audit, 'record'>
  createRootToken: (tx: Tx, value: Secret) => Promise<void>
}
type Operation = {
  readonly nonce: string
  readonly otp: Secret
  readonly recipient: Recipient | undefined
  readonly quorum: Quorum
}

const tokenLength = newTokenValue().length

export function createRootGeneration({ seal, barrier, audit, createRootToken }: Needs): RootGeneration {
  let operation: Operation | undefined

  function assertPossible(): void {
    if (!seal.status().initialised) throw new AppError('request.invalid', 'server is not yet initialized')
    if (!barrier.isOpen()) throw new AppError('vault.sealed')
  }

  function end(): void {
    operation?.quorum.reset()
    operation = undefined
  }

  function status(otp = ''): Readonly<Record<string, unknown>> {
    assertPossible()
    return {
      nonce: operation?.nonce ?? '',
      started: operation !== undefined,
      progress: operation?.quorum.progress() ?? 0,
      required: holdersOf(seal.config()).threshold,
      complete: false,
      encoded_token: '',
      encoded_root_token: '',
      pgp_fingerprint: operation?.recipient?.fingerprint ?? '',
      otp,
      otp_length: tokenLength,
    }
  }

  return {
    async begin({ otp, pgpKey }) {
      assertPossible()
      if (holdersOf(seal.config()).shares === 0)
        throw new AppError('request.invalid', 'nobody holds a recovery key of this vault')
      const [recipient] = await readRecipients(otp === '' && pgpKey !== '' ? [pgpKey] : [])
      const made = otp === '' && !recipient ? randomText(tokenLength) : ''
      if (otp !== '' && Buffer.byteLength(otp) !== tokenLength)
        throw new AppError('request.invalid', 'OTP string has incorrect length')
      if (operation) throw new AppError('request.invalid', 'root generation already in progress')
      operation = { nonce: randomUUID(), otp: new Secret(otp || made), recipient, quorum: createQuorum() }
      return made
    },
    status,
    cancel() {
      assertPossible()
      end()
    },
    async update(given) {
      assertPossible()
      const current = operation
      if (!current) throw new AppError('request.invalid', 'no root generation in progress')
      const { quorum, nonce, recipient, otp } = current
      const { threshold } = holdersOf(seal.config())
      const key = await addShare(given, { quorum, nonce, threshold, name: 'root generation' })
      if (!key) return { answer: status() }
      const held = await seal.isHeld(key)
      key.fill(0)
      if (!held)
        throw new AppError(
          'vault.share_invalid',
          'root generation aborted: a share is wrong, of another vault, or from before a rekey. Give all shares again.',
        )
      const token = newTokenValue()
      const encoded = recipient
        ? (await recipient.encrypt(token.reveal())).toString('base64')
        : underPad(token.reveal(), otp.reveal())
      return {
        async store(tx) {
          if (operation !== current)
            throw new AppError('request.conflict', 'this root generation has ended meanwhile')
          await createRootToken(tx, token)
          await audit.record(tx, {
            type: 'vault.root_generated',
            outcome: 'done',
            actor: 'system:owners',
            target: 'vault:keyward',
            detail: { nonce },
          })
          tx.afterCommit(end)
          return {
            ...status(),
            progress: threshold,
            complete: true,
            encoded_token: encoded,
            encoded_root_token: encoded,
          }
        },
      }
    },
    forget: end,
  }
}

/** Base64 without padding, as Vault's clients expect it. */
function underPad(token: string, pad: string): string {
  return xor(Buffer.from(token), Buffer.from(pad)).toString('base64').replace(/=+$/, '')
}

/** What `underPad` made, undone. */
export function fromPad(encoded: string, pad: string): string {
  const bytes = Buffer.from(encoded, 'base64')
  const key = Buffer.from(pad)
  if (bytes.length === 0 || bytes.length !== key.length)
    throw new AppError('request.invalid', "the lengths of 'encoded_token' and 'otp' do not fit")
  return xor(bytes, key).toString('utf8')
}

function xor(bytes: Buffer, pad: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, i) => byte ^ (pad[i] ?? 0)))
}
