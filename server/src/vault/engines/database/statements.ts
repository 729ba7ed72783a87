import { AppError } from '../../../core/index.ts'
import type { Body } from '../../engine.ts'

/** A list of statements, or one text; kept as it was written. */
export function statementsField(body: Body, name: string): string[] | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.some((item) => typeof item !== 'string'))
    throw new AppError('request.invalid', `field validation failed: "${name}" must be a list of texts`)
  return list.map((item) => String(item).trim()).filter((item) => item !== '')
}

/** Each may be plain, in base64, or a JSON list of statements in either. */
export function plainStatements(written: readonly string[]): string[] {
  return written.flatMap((text) => {
    const plain = decoded(text.trim())
    return (jsonList(plain) ?? [plain]).map((item) => item.trim()).filter((item) => item !== '')
  })
}

function decoded(text: string): string {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return text
  const plain = Buffer.from(text, 'base64').toString('utf8')
  return /[\p{Cc}\ufffd]/u.test(plain.replace(/\s/g, '')) ? text : plain
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined
  } catch {
    // A statement of the database's own language that begins with a bracket.
    return undefined
  }
}

/** Puts values in the place of `{{name}}` and the like, in one pass: what is put in is not looked through again. */
export function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (all, name: string) => values[name] ?? all)
}
