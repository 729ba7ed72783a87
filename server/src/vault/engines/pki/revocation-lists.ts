import type { Tx } from '../../../store/index.ts'
import { parseDuration } from '../../duration.ts'
import { invalid } from '../record-fields.ts'
import {
  type Authority,
  allIssuers,
  authorityFor,
  familyOf,
  resolveIssuer,
  revocationScheme,
} from './authority.ts'
import type { Issuer, ListState, PkiStore } from './store.ts'
import { keyIdOf } from './x509/keys.ts'
import { type Revocation, signRevocationList } from './x509/revocation-list.ts'

/**
 * The revocation lists of one mount. A revocation stores its own entry and the list's new number, so that it costs the same
 * however many there are; the list is made of them when it is next asked for, once for each number.
 */
export type RevocationLists = {
  /** The signed list of an issuer, in DER. */
  listOf(reference: string): Promise<Buffer>
  /** The content of a family's list has changed. */
  touch(tx: Tx, family: string, now: Date): Promise<void>
  /** New lists for all issuers, without what has expired. */
  renew(tx: Tx, now: Date): Promise<number>
  /** New lists for those whose half-life is over. */
  renewDue(tx: Tx, now: Date): Promise<number>
}

type Made = { readonly key: string; readonly der: Promise<Buffer> }

export function createRevocationLists(store: PkiStore): RevocationLists {
  /** By issuer: the list that was last made. */
  const made = new Map<string, Made>()

  async function revokedBy(family: string, at: number): Promise<Revocation[]> {
    const found: Revocation[] = []
    for (const serial of await store.revoked.names()) {
      const revoked = await store.revoked.get(serial)
      if (revoked?.family === family && revoked.notAfter > at)
        found.push({ serial: Buffer.from(serial, 'hex'), at: new Date(revoked.at) })
    }
    return found
  }

  async function make(authority: Authority, state: ListState, expirySeconds: number): Promise<Buffer> {
    const { certificate } = authority.issuer
    const { disable } = await store.config('crl')
    return signRevocationList(
      {
        issuer: certificate.subject,
        authorityKeyId: certificate.subjectKeyId ?? keyIdOf(certificate.spki),
        number: state.number,
        thisUpdate: new Date(state.at),
        nextUpdate: new Date(state.at + expirySeconds * 1000),
        revoked: disable ? [] : await revokedBy(familyOf(certificate), state.at),
      },
      authority.key,
      revocationScheme(authority),
    )
  }

  async function advance(tx: Tx, family: string, now: Date): Promise<void> {
    const { number = 0 } = (await store.lists.get(family, tx)) ?? {}
    await store.lists.put(tx, family, { number: number + 1, at: now.getTime() })
  }

  const familiesOf = (issuers: readonly Issuer[]): Set<string> =>
    new Set(issuers.map(({ certificate }) => familyOf(certificate)))

  return {
    async listOf(reference) {
      const issuer = await resolveIssuer(store, reference)
      const { record, certificate } = issuer
      const state = await store.lists.get(familyOf(certificate))
      if (!state) throw invalid(`issuer ${record.id} has no revocation list yet: read crl/rotate`)
      const config = await store.config('crl')
      const expirySeconds = parseDuration(config.expiry, 'expiry') || 72 * 3600
      const key = [
        state.number,
        state.at,
        config.disable,
        expirySeconds,
        record.revocationPss,
        record.revocationBits,
      ].join()
      const known = made.get(record.id)
      if (known?.key === key) return known.der
      // Noted before it is made, so that those who ask meanwhile get the same.
      const der = authorityFor(store, record.id, 'crl-signing').then((authority) =>
        make(authority, state, expirySeconds),
      )
      made.set(record.id, { key, der })
      der.catch(() => made.delete(record.id))
      return der
    },
    touch: advance,
    async renew(tx, now) {
      const families = familiesOf(await allIssuers(store, tx))
      for (const family of families) await advance(tx, family, now)
      return families.size
    },
    async renewDue(tx, now) {
      const { expiry } = await store.config('crl', tx)
      const halfLife = ((parseDuration(expiry, 'expiry') || 72 * 3600) * 1000) / 2
      let renewed = 0
      for (const family of familiesOf(await allIssuers(store, tx))) {
        const state = await store.lists.get(family, tx)
        if (state && state.at + halfLife > now.getTime()) continue
        await advance(tx, family, now)
        renewed++
      }
      return renewed
    },
  }
}
