import { AppError } from '../../core/index.ts'
import type { Body } from '../engine.ts'
import { booleanField, countField, durationField, listField, textField, textMapField } from '../fields.ts'

// A role of some engines has dozens of fields. They are declared once, and read, defaulted, patched and shown from there.

/** One field of a record as the API names it. `read` gives undefined when the body does not have it. */
export type Field<T> = { readonly read: (body: Body, name: string) => T | undefined; readonly fallback: T }

export const flag = (fallback = false): Field<boolean> => ({ read: booleanField, fallback })
export const words = (fallback = ''): Field<string> => ({ read: textField, fallback })
export const list = (...fallback: string[]): Field<readonly string[]> => ({ read: listField, fallback })
export const seconds = (fallback = 0): Field<number> => ({ read: durationField, fallback })
export const count = (fallback = 0): Field<number> => ({ read: countField, fallback })
export const map = (): Field<Readonly<Record<string, string>>> => ({ read: textMapField, fallback: {} })

type Fields = Readonly<Record<string, Field<unknown>>>
export type RecordOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never
}

/** What a body says; where it says nothing, what was there before, or the default. */
export function recordFrom<F extends Fields>(fields: F, body: Body, before?: RecordOf<F>): RecordOf<F> {
  const entries = Object.entries(fields).map(([name, { read, fallback }]) => [
    name,
    read(body, name) ?? before?.[name] ?? fallback,
  ])
  return Object.fromEntries(entries) as RecordOf<F>
}

export const invalid = (detail: string): AppError => new AppError('request.invalid', detail)
