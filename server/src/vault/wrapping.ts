import { AppError, Secret } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import { wrappingPolicy } from './acl/policies.ts'
import type { Barrier } from './barrier/barrier.ts'
import type { Answer } from './engine.ts'
import { cubbyholeOf } from './engines/kv1.ts'
import type { StoredToken } from './tokens/token-record.ts'
import type { Tokens } from './tokens/tokens.ts'

export const invalidWrappingToken = 'wrapping token is not valid or does not exist'

/** Answers kept behind a token that fetches them once. */
export type Wrapping = {
  wrap(tx: Tx, wanted: WantedWrap): Promise<Answer>
  /** The token if it stands for a wrapped answer that is still there. */
  find(token: Secret | undefined, reader?: Reader): Promise<StoredToken>
  /** Takes the answer out and ends the token. */
  unwrap(tx: Tx, token: StoredToken): Promise<Secret>
}
type WantedWrap = {
  readonly answer: Secret
  readonly ttlSeconds: number
  readonly creationPath: string
  readonly wrappedAccessor?: string | undefined
}

type Needs = { tokens: Pick<Tokens, 'create' | 'find' | 'revoke'>; barrier: Pick<Barrier, 'get' | 'put'> }

export function createWrapping({ tokens, barrier }: Needs): Wrapping {
  /** Where old clients read it with the token alone: `cubbyhole/response`. */
  const placeOf = (tokenId: string): string => `${cubbyholeOf(tokenId)}response`

  return {
    async wrap(tx, { answer, ttlSeconds, creationPath, wrappedAccessor }) {
      const { token, record } = await tokens.create(tx, {
        policies: [wrappingPolicy],
        metadata: wrappedAccessor === undefined ? null : { wrapped_accessor: wrappedAccessor },
        displayName: '',
        path: creationPath,
        usesLeft: 1,
        renewable: false,
        parent: null,
        endless: false,
        ttlSeconds,
        explicitMaxTtlSeconds: ttlSeconds,
      })
      await barrier.put(tx, placeOf(record.id), JSON.stringify({ response: answer.reveal() }))
      return {
        wrapped: {
          token,
          accessor: record.accessor,
          ttlSeconds: record.creationTtlSeconds,
          createdAt: new Date(record.createdAt),
          creationPath,
          wrappedAccessor,
        },
        note: { token: record.id },
      }
    },
    async find(token, reader) {
      const found = token && token.length > 0 ? await tokens.find(token, reader) : undefined
      if (!found?.record.policies.includes(wrappingPolicy))
        throw new AppError('request.invalid', invalidWrappingToken)
      return found
    },
    async unwrap(tx, { row, record }) {
      const kept = await barrier.get(placeOf(record.id), tx)
      if (!kept) throw new AppError('request.invalid', invalidWrappingToken)
      const { response } = JSON.parse(kept.toString('utf8')) as { response: string }
      await tokens.revoke(tx, row)
      return new Secret(response)
    },
  }
}
