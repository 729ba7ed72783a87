import { AppError } from '../../../core/index.ts'
import type { Body, RawAnswer } from '../../engine.ts'
import { textField } from '../../fields.ts'

/** Clients look for these words. */
export const loginFailed = 'Vault login failed.'

export const failed = (why: string): AppError => new AppError('request.invalid', `${loginFailed} ${why}`)

/** A refusal with the words that Vault's clients know before ours. */
export async function explained<T>(words: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError && error.code === 'request.invalid')
      throw new AppError('request.invalid', `${words} ${error.detail ?? ''}`)
    throw error
  }
}

/** The provider may send the person back with the code of a refusal; its free text is shown to nobody. */
export function assertNotRefused(said: Body): void {
  const refusal = textField(said, 'error')
  if (refusal) throw failed(/^[a-z_]{1,60}$/.test(refusal) ? refusal : 'The provider refused.')
}

/** For the browser of a person. `words` is our own text, or escaped. */
export const page = (words: string): RawAnswer => ({
  contentType: 'text/html; charset=utf-8',
  bytes: Buffer.from(`<!doctype html><html lang="en"><title>Keyward</title><p>${words}</p></html>\n`),
})

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => entities[char] ?? '')
