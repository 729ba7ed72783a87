import { AppError } from '../core/index.ts'
import type { Answer, Call } from './engine.ts'
import { isObject } from './fields.ts'

/** `after` and `limit` of a list, as OpenBao's clients write them: the names behind one, and so many of them. */
export function pageOf(answer: Answer | undefined, query: Call['query']): Answer | undefined {
  const { after, limit } = query
  const keys: unknown = answer?.data?.['keys']
  if ((after === undefined && limit === undefined) || !Array.isArray(keys)) return answer
  const most = Number(limit ?? 0)
  if (!Number.isSafeInteger(most)) throw new AppError('request.invalid', 'limit must be a whole number')
  const behind = after ? keys.filter((key) => String(key) > after) : keys
  const page = most > 0 ? behind.slice(0, most) : behind
  if (page.length === 0) return undefined
  const told: unknown = answer?.data?.['key_info']
  const info = isObject(told) ? { key_info: infoOf(told, page) } : {}
  return { ...answer, data: { ...answer?.data, keys: page, ...info } }
}

const infoOf = (told: Record<string, unknown>, keys: readonly unknown[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(told).filter(([key]) => keys.includes(key)))
