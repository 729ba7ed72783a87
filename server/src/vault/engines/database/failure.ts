import { AppError, type Secret } from '../../../core/index.ts'

/**
 * The words of a database without the values that it was given: it may quote part of a statement, which holds a password when
 * the statement is wrong.
 */
export function withoutSecrets(message: string, secrets: readonly Secret[]): string {
  const values = secrets.map((secret) => secret.reveal()).filter((value) => value !== '')
  let clean = message
  for (const value of values) clean = clean.replaceAll(value, '[password]')
  return clean.replace(/"([^"]+)"|'([^']+)'/g, (all, double?: string, single?: string) => {
    const quoted = double ?? single ?? ''
    // One or two letters are in many a password, and tell nothing of it.
    return quoted.length > 2 && values.some((value) => value.includes(quoted)) ? '"[password]"' : all
  })
}

/** Nothing was changed: the database said no. */
export const refused = (detail: string): AppError => new AppError('database.refused', detail)
/** Whether anything was changed is not known. */
export const unreachable = (detail: string): AppError => new AppError('database.unreachable', detail)
export const signInRefused = (detail: string): AppError => new AppError('database.sign_in', detail)

export const isSignInRefusal = (error: unknown): boolean =>
  error instanceof AppError && error.code === 'database.sign_in'
/** Whether the database has certainly not done what it was asked. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof AppError && error.code !== 'database.unreachable'
