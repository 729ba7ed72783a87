import type { KeyObject } from 'node:crypto'
import { explicit, integer, sequence, time, unsigned } from './der.ts'
import { authorityKeyId, extension } from './extensions.ts'
import { algorithmOf, type SignatureScheme, signed } from './keys.ts'
import { oids } from './oids.ts'

export type Revocation = { readonly serial: Buffer; readonly at: Date }

type RevocationList = {
  readonly issuer: Buffer
  readonly authorityKeyId: Buffer
  /** Rises with each list. */
  readonly number: number
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  readonly revoked: readonly Revocation[]
}

/** A certificate revocation list, version 2 (RFC 5280, 5). */
export function signRevocationList(
  list: RevocationList,
  key: KeyObject,
  scheme: SignatureScheme,
): Promise<Buffer> {
  const entries = list.revoked.map(({ serial, at }) => sequence(unsigned(serial), time(at)))
  const content = sequence(
    integer(1),
    algorithmOf(key, scheme),
    list.issuer,
    time(list.thisUpdate),
    time(list.nextUpdate),
    // An empty list of entries is left out altogether.
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    explicit(
      0,
      sequence(authorityKeyId(list.authorityKeyId), extension(oids.crlNumber, false, integer(list.number))),
    ),
  )
  return signed(content, key, scheme)
}
