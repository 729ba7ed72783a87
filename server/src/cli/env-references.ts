import { readFile } from 'node:fs/promises'
import { AppError, parseReference, referencePattern, type Secret } from '../core/index.ts'
import { parseDotenv } from './dotenv.ts'
import type { Environment } from './places.ts'

/** Which variable holds which references. Most hold one and nothing else; a connection string has text around it. */
export type Referring = {
  readonly name: string
  readonly text: string
  readonly references: readonly string[]
}

/** Variables that refer to secrets. A reference that cannot be one stops everything: it would reach the child as text. */
export function referringVariables(env: Environment): Referring[] {
  return Object.entries(env).flatMap(([name, text = '']) => {
    if (!text.includes('keyward://')) return []
    const references = text.match(referencePattern()) ?? []
    const written = text.split('keyward://').length - 1
    for (const reference of references) checkReference(name, reference)
    if (references.length !== written) {
      const detail = `the variable ${name} holds a reference that is not of the form keyward://<mount>/<path>#<field>`
      throw new AppError('reference.invalid', detail)
    }
    return [{ name, text, references }]
  })
}

function checkReference(name: string, reference: string): void {
  try {
    parseReference(reference)
  } catch (error) {
    const reason = error instanceof AppError ? error.detail : undefined
    throw new AppError('reference.invalid', `the variable ${name}: ${reason}`, { cause: error })
  }
}

/** The variables with each reference replaced by its value. */
export function resolvedVariables(
  referring: readonly Referring[],
  values: ReadonlyMap<string, Secret>,
): Record<string, string> {
  return Object.fromEntries(
    referring.map(({ name, text }) => [
      name,
      text.replace(referencePattern(), (found) => valueBehind(values, name, found)),
    ]),
  )
}

function valueBehind(values: ReadonlyMap<string, Secret>, name: string, reference: string): string {
  const value = values.get(reference)?.reveal()
  if (value === undefined)
    throw new AppError('secret.not_found', `the server gave no value for ${reference} (${name})`)
  if (value.includes('\0')) {
    throw new AppError(
      'request.invalid',
      `the value for ${name} holds a zero byte, which no variable can hold`,
    )
  }
  return value
}

/** The file's variables; undefined when it does not exist. */
export async function readEnvFile(path: string): Promise<Record<string, string> | undefined> {
  try {
    return parseDotenv(await readFile(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw error
  }
}
