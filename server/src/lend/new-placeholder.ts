import { randomBytes } from 'node:crypto'
import { type Injection, prefixOf } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import { randomToken } from '../identity/index.ts'
import type { Needs } from './lend.ts'

type FormOf = Needs['placeholderForm']

/** As what takes it expects it: an access key id of AWS has 20 characters of its own alphabet, 60 bits of them random. */
export async function newPlaceholder(how: Injection | undefined, formOf: FormOf): Promise<string> {
  if (how?.kind === 'aws') {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
    return `AKIAKEYW${Array.from(randomBytes(12), (byte) => alphabet[byte % 32]).join('')}`
  }
  const form = likeOf(how) === undefined ? undefined : await formOf(likeOf(how) ?? '')
  return form?.make() ?? randomToken('kwp_', 32).reveal()
}

const likeOf = (how: Injection | undefined): string | undefined =>
  how && 'like' in how ? how.like : undefined

/** With the prefix of the keys that its placeholders shall look like. Throws `request.invalid` where none can. */
export async function withLook(how: Injection | undefined, formOf: FormOf): Promise<Injection | undefined> {
  const like = likeOf(how)
  if (!how || like === undefined) return how
  const form = await formOf(like)
  if (!form) {
    const detail = `No placeholder can look like ${like}: it takes the name of a rule of the scanner, or a form that ends in 20 letters and digits or more, such as ghp_<an 36>.`
    throw new AppError('request.invalid', detail)
  }
  const said = prefixOf(how)
  if (said !== '' && said !== form.prefix)
    throw new AppError('request.invalid', `Say prefix or like, not both: like has the prefix ${form.prefix}.`)
  return { ...how, prefix: form.prefix } as Injection
}
