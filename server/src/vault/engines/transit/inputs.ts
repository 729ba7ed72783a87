import { AppError } from '../../../core/index.ts'
import { unreadable } from '../../duration.ts'
import type { Body } from '../../engine.ts'
import { textField } from '../../fields.ts'

export const invalid = (detail: string): AppError => new AppError('request.invalid', detail)

const standard = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Strict, where Node passes over what it does not know: what was damaged on its way must not become other bytes. */
export function decodeBase64(text: string): Buffer<ArrayBuffer> | undefined {
  const clean = text.replace(/[\r\n]/g, '')
  return standard.test(clean) ? Buffer.from(clean, 'base64') : undefined
}

/** The bytes of a field; undefined when it is absent. `what` stands before the reason of a refusal. */
export function bytesField(body: Body, name: string, what = ''): Buffer | undefined {
  const text = textField(body, name)
  if (text === undefined) return undefined
  const bytes = decodeBase64(text)
  if (bytes) return bytes
  const at = text.search(/[^A-Za-z0-9+/\r\n]/)
  throw invalid(`${what}illegal base64 data at input byte ${at < 0 ? text.length : at}`)
}

/** A whole number that may be negative, so that each use can say what it wants instead. */
export function integerField(body: Body, name: string): number | undefined {
  const text = textField(body, name)
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw unreadable(name, 'it must be a whole number')
  return value
}
