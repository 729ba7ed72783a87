import { readFile } from 'node:fs/promises'
import { AppError, referencePattern, type Secret } from '../core/index.ts'
import type { Environment } from './places.ts'
import { referencesIn, valueBehind } from './resolve-references.ts'
import { readVariables } from './variables.ts'

/** Which variable holds which references. Most hold one and nothing else; a connection string has text around it. */
export type Referring = {
  readonly name: string
  readonly text: string
  readonly references: readonly string[]
}

/** Variables that refer to secrets. */
export function referringVariables(env: Environment): Referring[] {
  return Object.entries(env).flatMap(([name, text = '']) => {
    const references = referencesIn(text, `the variable ${name}`)
    return references.length > 0 ? [{ name, text, references }] : []
  })
}

/** The variables with each reference replaced by its value. */
export function resolvedVariables(
  referring: readonly Referring[],
  values: ReadonlyMap<string, Secret>,
): Record<string, string> {
  return Object.fromEntries(
    referring.map(({ name, text }) => [
      name,
      text.replace(referencePattern(), (found) => valueFor(values, name, found)),
    ]),
  )
}

function valueFor(values: ReadonlyMap<string, Secret>, name: string, reference: string): string {
  const value = valueBehind(values, reference, name).reveal()
  if (value.includes('\0')) {
    throw new AppError(
      'request.invalid',
      `the value for ${name} holds a zero byte, which no variable can hold`,
    )
  }
  return value
}

/** The file's variables: a `.env`, or JSON or YAML by its ending; undefined when it does not exist. */
export async function readEnvFile(path: string): Promise<Record<string, string> | undefined> {
  try {
    return await readVariables(path, await readFile(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw error
  }
}
