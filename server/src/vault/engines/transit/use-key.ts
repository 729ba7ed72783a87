import type { Answer, Call, PathSpec, ReadHandler, WriteHandler } from '../../engine.ts'
import { invalid } from './inputs.ts'
import type { Key } from './key.ts'
import { assertUsable, isDue, type KeyStore, requireKey, withVersion } from './key-store.ts'
import { newVersion } from './material.ts'

export type Use = (key: Key, call: Call) => Answer

type Options = {
  /** What a caller is told when there is no such key. */
  readonly missing: string
  /** The use makes something new, so a key that is due is rotated first. */
  readonly renews: boolean
  /** Instead of the refusal: makes the key. */
  readonly upsert?: (call: Call) => Promise<WriteHandler | undefined>
}

export const nameOf = ({ params }: Call): string => params['name'] ?? ''

/**
 * A path that works with a key. Nothing is stored, so the answer needs no transaction of its own; except where the key has to
 * be made, or rotated because its time has come, before it is used.
 */
export function useKey(keys: KeyStore, use: Use, options: Options): Required<Pick<PathSpec, 'post'>> {
  const { missing, renews, upsert } = options

  function used(key: Key, call: Call): ReturnType<ReadHandler> {
    assertUsable(key)
    return renews && isDue(key, call.now) ? rotateFirst(keys, key, call, use, options) : use(key, call)
  }

  async function fromStorage(call: Call): Promise<Awaited<ReturnType<ReadHandler>>> {
    const key = await keys.get(nameOf(call))
    if (key) return used(key, call)
    const made = await upsert?.(call)
    if (made) return made
    throw invalid(missing)
  }

  return {
    post(call) {
      const key = keys.peek(nameOf(call))
      return key ? used(key, call) : fromStorage(call)
    },
  }
}

async function rotateFirst(
  keys: KeyStore,
  { record }: Key,
  { now }: Call,
  use: Use,
  { missing }: Options,
): Promise<WriteHandler> {
  const fresh = await newVersion(record.type, record.keyBytes, now)
  return async (tx, call) => {
    const key = await requireKey(keys, nameOf(call), missing, tx)
    assertUsable(key)
    // Another request may have rotated it meanwhile.
    if (!isDue(key, call.now)) return use(key, call)
    const rotated = await keys.put(tx, withVersion(key.record, fresh))
    const answer = use(rotated, call)
    return { ...answer, note: { ...Object(answer.note), rotated: rotated.record.latest } }
  }
}
