import { api } from '@keyward/contract'
import { AppError, parseReference, referencePattern, Secret } from '../core/index.ts'
import type { Client } from './client.ts'

/** As many as one call of `secrets.resolve` takes. */
const mostPerCall = 200

/** The values behind references; each is audited with the purpose before it leaves the server. */
export async function resolveReferences(
  client: Client,
  references: Iterable<string>,
  purpose: string,
): Promise<Map<string, Secret>> {
  const wanted = [...new Set(references)]
  const values = new Map<string, Secret>()
  for (let from = 0; from < wanted.length; from += mostPerCall) {
    const part = wanted.slice(from, from + mostPerCall)
    const answer = await client.call(api.secrets.resolve, { references: part, purpose })
    for (const [reference, value] of Object.entries(answer.values)) values.set(reference, new Secret(value))
  }
  return values
}

/** All references in a text. One that cannot be read stops everything: it would reach the reader as text. */
export function referencesIn(text: string, where: string): string[] {
  const references = text.match(referencePattern()) ?? []
  for (const reference of references) {
    try {
      parseReference(reference)
    } catch (error) {
      const reason = error instanceof AppError ? error.detail : undefined
      throw new AppError('reference.invalid', `${where}: ${reason}`, { cause: error })
    }
  }
  if (references.length === text.split('keyward://').length - 1) return references
  const detail = `${where} holds a reference that is not of the form keyward://<mount>/<path>#<field>`
  throw new AppError('reference.invalid', detail)
}

export function valueBehind(values: ReadonlyMap<string, Secret>, reference: string, where: string): Secret {
  const value = values.get(reference)
  if (value) return value
  throw new AppError('secret.not_found', `the server gave no value for ${reference} (${where})`)
}
