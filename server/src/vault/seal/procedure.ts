import { AppError } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import { shareBytes, shareLength } from './new-key.ts'
import type { Quorum } from './quorum.ts'

/** What the owners' step led to: an answer, or something that has to be stored before there is one. */
export type Step =
  | { readonly answer: Readonly<Record<string, unknown>> }
  | { readonly store: (tx: Tx) => Promise<Readonly<Record<string, unknown>>> }

/** A share as it was sent, for a procedure that has the nonce. */
export type Given = { readonly key: string; readonly nonce: string }

type Asked = {
  readonly quorum: Quorum
  readonly nonce: string
  readonly threshold: number
  /** What it is called in refusals. */
  readonly name: string
}

/** Adds a share; the key when there are enough of them. Whoever gives a share says which attempt it is for. */
export async function addShare(
  given: Given,
  { quorum, nonce, threshold, name }: Asked,
): Promise<Buffer | undefined> {
  if (given.key === '')
    throw new AppError('request.invalid', "'key' must be specified in request body as JSON")
  const share = shareBytes(given.key)
  if (!share) throw new AppError('request.invalid', "'key' must be a valid hex or base64 string")
  try {
    if (given.nonce !== nonce)
      throw new AppError(
        'request.invalid',
        `incorrect nonce supplied; nonce for this ${name} operation is "${nonce}"`,
      )
    if (share.length !== shareLength(threshold))
      throw new AppError(
        'request.invalid',
        `the key has ${share.length} bytes; these shares have ${shareLength(threshold)}`,
      )
    const added = await quorum.add(share, threshold)
    if (added === 'repeated')
      throw new AppError(
        'request.invalid',
        `given key has already been provided during this ${name} operation`,
      )
    return added === 'more' ? undefined : added
  } finally {
    share.fill(0)
  }
}
